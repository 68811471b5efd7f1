//! Many embedded nsqds in one process.

use std::io::Write;

use tokio::runtime::Runtime;

/// Starts so many, prints their addresses, and runs until stdin ends.
pub(crate) fn serve(servers: usize) {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let mut nsqds = Vec::new();
        for _ in 0..servers {
            nsqds.push(gnsq_server::Nsqd::start().await.expect("a port is free"));
        }
        let addresses: Vec<_> = nsqds.iter().map(|nsqd| nsqd.tcp_address().clone()).collect();
        println!("{}", addresses.join(","));
        std::io::stdout().flush().expect("stdout is there");
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        let _ = ended.await;
    });
}
