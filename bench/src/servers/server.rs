//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use gnsq_testkit::Nsqd;
use tokio::runtime::Runtime;

use crate::usage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Real,
    Embedded,
}

pub(super) struct Server {
    address: SocketAddr,
    pid: u32,
    /// Ends the process with this value.
    _process: Process,
}

enum Process {
    Real { _nsqd: Box<Nsqd>, _runtime: Runtime },
    Embedded(Child),
}

impl Kind {
    /// The reference first.
    pub(super) const ALL: [Self; 2] = [Self::Real, Self::Embedded];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Real => "nsqd 1.3.0",
            Self::Embedded => "gnsq-server",
        }
    }
}

impl Server {
    pub(super) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Real => {
                let runtime = Runtime::new().expect("threads can be started");
                // Everything stays in memory.
                let nsqd = runtime.block_on(Nsqd::builder().arg("--mem-queue-size=20000000").start());
                let (address, pid) = (nsqd.tcp_address(), nsqd.pid());
                Self { address, pid, _process: Process::Real { _nsqd: Box::new(nsqd), _runtime: runtime } }
            }
            Kind::Embedded => {
                let program = std::env::current_exe().expect("this program has a path");
                let mut child =
                    Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().expect("this program runs");
                let mut line = String::new();
                let output = child.stdout.take().expect("it is piped");
                BufReader::new(output).read_line(&mut line).expect("it tells its address");
                let address = line.trim().parse().expect("it tells its address");
                Self { address, pid: child.id(), _process: Process::Embedded(child) }
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn cpu_time(&self) -> Duration {
        usage::cpu_time_of(self.pid)
    }

    pub(super) fn memory_kib(&self) -> u64 {
        usage::memory_kib_of(self.pid)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Embedded(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An embedded nsqd until the process is ended; its address goes to stdout.
pub(crate) fn serve() -> ExitCode {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let nsqd = gnsq_server::Nsqd::start().await.expect("a port is free");
        println!("{}", nsqd.tcp_address());
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
