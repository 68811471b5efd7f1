//! Embedded nsqds in a process of their own, until it is ended. They say where they listen in the words of the real one.

use std::process::ExitCode;

use tokio::runtime::Runtime;

/// Starts so many.
pub(crate) fn run(count: usize) -> ExitCode {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let mut nsqds = Vec::new();
        for _ in 0..count {
            let nsqd = gnsq_server::Nsqd::start().await.expect("a port is free");
            println!("TCP: listening on {}", nsqd.tcp_address());
            println!("HTTP: listening on {}", nsqd.http_address());
            nsqds.push(nsqd);
        }
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
