//! A child process on ports that stay its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::log::Log;
use super::program;
use crate::DEADLINE;

/// One server process and its successors on the same addresses.
pub(super) struct Process {
    name: &'static str,
    arguments: Vec<String>,
    listeners: Vec<Listener>,
    log: Log,
    child: Child,
    /// Holds the ports of a process that isn't running.
    reserved: Vec<TcpSocket>,
}

/// One address that a server listens on.
pub(super) struct Listener {
    /// The flag that sets the address.
    flag: &'static str,
    /// How the server's log calls it.
    label: &'static str,
    /// What was asked for, and once the server listens what it got: an address with its port, or a path.
    address: String,
}

impl Listener {
    /// Listens on a free port of 127.0.0.1.
    pub(super) fn tcp(flag: &'static str, label: &'static str) -> Self {
        Self { flag, label, address: "127.0.0.1:0".to_owned() }
    }

    pub(super) fn unix(flag: &'static str, label: &'static str, path: &Path) -> Self {
        Self { flag, label, address: path.to_str().expect("a temporary directory has a UTF-8 path").to_owned() }
    }
}

impl Process {
    /// Starts the program and returns as soon as it listens on every address.
    ///
    /// # Panics
    ///
    /// If it ends before that, or takes longer than [`DEADLINE`].
    pub(super) async fn start(name: &'static str, listeners: Vec<Listener>, arguments: Vec<String>) -> Self {
        let log = Log::new();
        let (child, first_line) = spawn(name, &listeners, &arguments, &log);
        let mut process = Self { name, arguments, listeners, log, child, reserved: Vec::new() };
        assert!(process.listens(first_line).await, "{name} ended before it listened:\n{}", process.log());
        process
    }

    /// Starts the program on the addresses it had, after [`stop`](Self::stop) or [`kill`](Self::kill).
    pub(super) async fn start_again(&mut self) {
        assert!(!self.is_running(), "{} is still running: stop or kill it first", self.name);
        for _ in 0..PORT_ATTEMPTS {
            for listener in &self.listeners {
                if let Some(path) = listener.path() {
                    // A killed server leaves its socket behind, and the next one refuses to start on it.
                    let _ = std::fs::remove_file(path);
                }
            }
            self.reap();
            let (child, first_line) = spawn(self.name, &self.listeners, &self.arguments, &self.log);
            self.child = child;
            if self.listens(first_line).await {
                self.reserved.clear();
                return;
            }
            if self.log.find(first_line, |line| line.contains("address already in use").then_some(())).await.is_none() {
                break;
            }
            sleep(PORT_RETRY_INTERVAL).await;
        }
        panic!("{} did not start again:\n{}", self.name, self.log());
    }

    /// Asks the process to end, and waits until it has.
    pub(super) async fn stop(&mut self) {
        if self.is_running() {
            self.send(Signal::TERM);
            // A paused process would not see the request.
            self.send(Signal::CONT);
        }
        self.ended("SIGTERM").await;
    }

    /// Ends the process at once.
    pub(super) async fn kill(&mut self) {
        let _ = self.child.kill();
        self.ended("SIGKILL").await;
    }

    /// Freezes the process: it keeps its connections and answers nothing.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
        // Until then it may still answer. The child stays to be waited for, should it have ended.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let pid = Pid::from_child(&self.child);
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn is_running(&self) -> bool {
        !self.log.has_ended()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn log(&self) -> String {
        self.log.text()
    }

    /// The address behind a label of the log, unless it is a path.
    pub(super) fn address(&self, label: &str) -> Option<SocketAddr> {
        self.listener(label)?.address.parse().ok()
    }

    /// The path of the unix socket behind a label of the log.
    pub(super) fn path(&self, label: &str) -> Option<PathBuf> {
        self.listener(label)?.path()
    }

    fn listener(&self, label: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.label == label)
    }

    /// Waits until the process tells its addresses; false if it ends instead.
    async fn listens(&mut self, first_line: usize) -> bool {
        for listener in &mut self.listeners {
            let marker = format!(" {}: listening on ", listener.label);
            let address = self.log.find(first_line, |line| Some(line.split_once(&marker)?.1.trim().to_owned()));
            let Ok(address) = timeout(DEADLINE, address).await else {
                panic!(
                    "the log of {} does not say where it listens for {} (it must show the level INFO):\n{}",
                    self.name,
                    listener.label,
                    self.log.text()
                );
            };
            match address {
                Some(address) => listener.address = address,
                None => return false,
            }
        }
        true
    }

    async fn ended(&mut self, signal: &str) {
        let in_time = timeout(DEADLINE, self.log.end()).await.is_ok();
        assert!(in_time, "{} did not end within {DEADLINE:?} of {signal}:\n{}", self.name, self.log());
        self.reap();
        self.reserved = self.listeners.iter().filter_map(Listener::reserve).collect();
    }

    /// Collects the exit status of a process that has closed its log, thus is about to be gone.
    fn reap(&mut self) {
        self.child.wait().expect("it is our child, and waiting for it twice is allowed");
    }

    fn signal(&self, signal: Signal) {
        assert!(self.is_running(), "{} is not running:\n{}", self.name, self.log());
        self.send(signal);
    }

    /// Sends a signal to a process that may have ended but has not been reaped: the id can't be another's yet.
    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Blocks for the few milliseconds that a killed process takes: its data is about to be removed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows what its servers did")]
            {
                eprintln!("--- log of {} ({}):\n{}---", self.name, self.pid(), self.log());
            }
        }
    }
}

impl Listener {
    fn path(&self) -> Option<PathBuf> {
        self.address.starts_with('/').then(|| PathBuf::from(&self.address))
    }

    /// Keeps the port from being given to anybody else who asks for a free one, or connects from one.
    ///
    /// Linux lets a server listen on a port to which another socket is only bound, if both allow the address to be
    /// reused, as Go's listeners do. Elsewhere nothing is reserved: the port is nearly always still free.
    fn reserve(&self) -> Option<TcpSocket> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let address: SocketAddr = self.address.parse().ok()?;
        let socket = TcpSocket::new_v4().ok()?;
        socket.set_reuseaddr(true).ok()?;
        socket.bind(address).ok()?;
        Some(socket)
    }
}

fn spawn(name: &str, listeners: &[Listener], arguments: &[String], log: &Log) -> (Child, usize) {
    let mut child = Command::new(program(name))
        .args(listeners.iter().map(|listener| format!("{}={}", listener.flag, listener.address)))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("can't start {name}: {error}"));
    let first_line = log.follow(child.stderr.take().expect("stderr is piped"));
    (child, first_line)
}

const PORT_ATTEMPTS: usize = 50;
const PORT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
