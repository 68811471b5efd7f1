//! One of NSQ's programs, run by a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use gnsq_testkit::{DEADLINE, eventually, program};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout, timeout_at};

/// A running program. Dropping it kills it.
pub(crate) struct Tool {
    name: &'static str,
    child: Child,
    /// Of both streams, as they come.
    lines: UnboundedReceiver<String>,
    seen: Vec<String>,
}

impl Tool {
    pub(crate) fn start<S: AsRef<str>>(name: &'static str, arguments: impl IntoIterator<Item = S>) -> Self {
        Self::start_with_input(name, arguments, "")
    }

    /// Starts it with `input` to read, and an end behind that.
    pub(crate) fn start_with_input<S: AsRef<str>>(
        name: &'static str,
        arguments: impl IntoIterator<Item = S>,
        input: &'static str,
    ) -> Self {
        let mut child = Command::new(program(name))
            .args(arguments.into_iter().map(|argument| argument.as_ref().to_owned()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {name}: {error}"));
        let (sender, lines) = unbounded_channel();
        follow(child.stdout.take().unwrap(), sender.clone());
        follow(child.stderr.take().unwrap(), sender);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Self { name, child, lines, seen: Vec::new() }
    }

    /// The next line of which `wanted` makes something.
    pub(crate) async fn line<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> T {
        let search = async {
            while let Some(line) = self.lines.recv().await {
                let found = wanted(&line);
                self.seen.push(line);
                if found.is_some() {
                    return found;
                }
            }
            None
        };
        let Ok(Some(found)) = timeout(DEADLINE, search).await else {
            panic!("{} didn't write what was waited for:\n{}", self.name, self.seen.join("\n"));
        };
        found
    }

    /// Waits until it has ended by itself, and returns how and all it wrote.
    pub(crate) async fn end(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let Ok(line) = timeout_at(deadline, self.lines.recv()).await else {
                panic!("{} doesn't end:\n{}", self.name, self.seen.join("\n"));
            };
            match line {
                Some(line) => self.seen.push(line),
                None => break,
            }
        }
        let status = eventually(DEADLINE, "the end of a tool", async || self.child.try_wait().unwrap()).await;
        (status, std::mem::take(&mut self.seen))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stream: impl Read + Send + 'static, lines: UnboundedSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}
