//! An embedded nsqd in a process of its own, until it is ended. It says where it listens in the words of the real one.

use std::process::ExitCode;

use tokio::runtime::Runtime;

pub(crate) fn run() -> ExitCode {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let nsqd = gnsq_server::Nsqd::start().await.expect("a port is free");
        println!("TCP: listening on {}", nsqd.tcp_address());
        println!("HTTP: listening on {}", nsqd.http_address());
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
