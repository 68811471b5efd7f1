//! Runs the program and watches what it says.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gnsq::{Consumer, Io};
use gnsq_testkit::{DEADLINE, Nsqd, eventually, http};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The program, running.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_ended: mpsc::UnboundedReceiver<()>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    /// The lines that were not taken before.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

/// The program with these arguments, apart from the user's own environment.
pub(crate) fn gnsq<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gnsq"));
    command.args(arguments).env_clear().env("HOME", "/nowhere");
    command
}

/// Runs the program to its end, with `input` on its stdin.
pub(crate) async fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, input: impl AsRef<[u8]>) -> Finished {
    let mut running = Running::start(gnsq(arguments));
    running.write(input);
    running.finish().await
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                // Closing stdout is how a reader leaves.
                if sender.send(line.expect("the program writes UTF-8")).is_err() {
                    break;
                }
            }
        });
        let mut pipe = child.stderr.take().expect("it is piped");
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (ended, stderr_ended) = mpsc::unbounded_channel();
        let text = stderr.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                text.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
            let _ = ended.send(());
        });
        Self { stdin: child.stdin.take(), child, lines, stderr, stderr_ended }
    }

    /// Writes to its stdin, which stays open. Nothing happens if it has closed that.
    pub(crate) fn write(&mut self, input: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("it is not closed yet");
        let _ = stdin.write_all(input.as_ref()).and_then(|()| stdin.flush());
    }

    /// Its stdin, to write to from elsewhere.
    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("it is not closed yet")
    }

    /// The next line of its stdout.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.lines.recv()).await.ok().flatten();
        line.unwrap_or_else(|| panic!("no line on stdout within {DEADLINE:?}; stderr: {}", self.stderr()))
    }

    /// Reads no more of its stdout, so that it has a broken pipe.
    pub(crate) fn close_stdout(&mut self) {
        self.lines.close();
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    /// Waits until stderr has `text`.
    pub(crate) async fn says(&self, text: &str) {
        eventually(DEADLINE, text, async || self.stderr().contains(text).then_some(())).await;
    }

    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is running");
    }

    /// Closes its stdin and waits for its end.
    pub(crate) async fn finish(mut self) -> Finished {
        drop(self.stdin.take());
        let status =
            eventually(DEADLINE, "the program to end", async || self.child.try_wait().expect("it is our child")).await;
        let mut lines = Vec::new();
        while let Ok(Some(line)) = timeout(DEADLINE, self.lines.recv()).await {
            lines.push(line);
        }
        let _ = timeout(DEADLINE, self.stderr_ended.recv()).await;
        Finished { code: status.code(), lines, stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// It ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {:#?}\nstderr: {}", self.lines, self.stderr);
        self
    }

    /// The last line of stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let line = self.lines.last().unwrap_or_else(|| panic!("nothing on stdout; stderr: {}", self.stderr));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// Each line of stdout as JSON.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        let object = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        self.lines.iter().map(object).collect()
    }
}

/// Takes so many messages of the channel, and returns their bodies, sorted.
pub(crate) async fn take(nsqd: &Nsqd, topic: &str, channel: &str, count: usize) -> Vec<String> {
    let mut consumer = Consumer::builder(topic, channel).nsqd(nsqd.tcp_address()).io(Io::Current).build().unwrap();
    let mut bodies = Vec::new();
    for _ in 0..count {
        let message = timeout(DEADLINE, consumer.recv()).await;
        let message = message.unwrap_or_else(|_| panic!("{} of {count} messages: {bodies:?}", bodies.len())).unwrap();
        bodies.push(String::from_utf8_lossy(message.body()).into_owned());
        message.finish().unwrap();
    }
    consumer.handle().shutdown().await;
    bodies.sort();
    bodies
}

/// How many messages were published to the topic.
pub(crate) async fn published(nsqd: &Nsqd, topic: &str) -> u64 {
    nsqd.topic_stats(topic).await.map_or(0, |stats| stats.message_count)
}

/// Waits until so many messages were published to the topic.
pub(crate) async fn wait_published(nsqd: &Nsqd, topic: &str, count: u64) {
    eventually(DEADLINE, "messages to be published", async || (published(nsqd, topic).await == count).then_some(()))
        .await;
}

/// `--nsqd-tcp-address` of this nsqd.
pub(crate) fn at(nsqd: &Nsqd) -> String {
    format!("--nsqd-tcp-address={}", nsqd.tcp_address())
}

/// Pauses the nsqd, and waits until it answers nobody any more: a signal takes its time.
pub(crate) async fn freeze(nsqd: &Nsqd) {
    nsqd.pause();
    eventually(DEADLINE, "nsqd to be silent", async || {
        let ping = http::request(nsqd.http_address(), "GET", "/ping", b"");
        timeout(Duration::from_millis(200), ping).await.is_err().then_some(())
    })
    .await;
}

/// For what no event tells: that nothing more happens.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}
