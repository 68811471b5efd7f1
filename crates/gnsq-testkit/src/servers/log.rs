//! The latest lines of a server's log, and the addresses in it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::thread;

use tokio::sync::watch;

/// The latest lines that a process wrote, through all its restarts.
pub(super) struct Log {
    lines: Arc<watch::Sender<Lines>>,
}

struct Lines {
    latest: VecDeque<String>,
    forgotten: usize,
    ended: bool,
}

impl Log {
    pub(super) fn new() -> Self {
        let lines = Lines { latest: VecDeque::new(), forgotten: 0, ended: true };
        Self { lines: Arc::new(watch::Sender::new(lines)) }
    }

    /// Reads `output` until the process closes it, and returns the number of the first line to come.
    ///
    /// The previous output must have ended.
    pub(super) fn follow(&self, output: impl Read + Send + 'static) -> usize {
        let mut first = 0;
        self.lines.send_modify(|lines| {
            lines.ended = false;
            first = lines.forgotten + lines.latest.len();
        });
        let lines = Arc::clone(&self.lines);
        // A thread and no task: a process whose log nobody reads stops as soon as the pipe is full, and a test that
        // blocks its runtime, or has left it, must not stop its servers.
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                lines.send_modify(|lines| lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            lines.send_modify(|lines| lines.ended = true);
        });
        first
    }

    /// The first answer that `parse` gives on a line from number `first` on; `None` if the log ends before.
    pub(super) async fn find<T>(&self, first: usize, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut found = None;
        self.changed_until(|lines| {
            found = lines.latest.iter().skip(first.saturating_sub(lines.forgotten)).find_map(|line| parse(line));
            found.is_some() || lines.ended
        })
        .await;
        found
    }

    /// Waits until the process has closed its output, which it does when it ends.
    pub(super) async fn end(&self) {
        self.changed_until(|lines| lines.ended).await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lines.borrow().ended
    }

    pub(super) fn text(&self) -> String {
        self.lines.borrow().latest.iter().map(String::as_str).flat_map(|line| [line, "\n"]).collect()
    }

    async fn changed_until(&self, holds: impl FnMut(&Lines) -> bool) {
        self.lines.subscribe().wait_for(holds).await.expect("self holds the sender");
    }
}

impl Lines {
    fn push(&mut self, line: String) {
        if self.latest.len() == MAX_LINES {
            self.latest.pop_front();
            self.forgotten += 1;
        }
        self.latest.push_back(line);
    }
}

/// Enough for what led to a failure; nsqd writes a line for each request and each connection.
const MAX_LINES: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_latest_lines_are_kept() {
        let log = Log::new();
        let output: String = (0..MAX_LINES + 3).flat_map(|number| [number.to_string(), "\n".to_owned()]).collect();
        log.follow(std::io::Cursor::new(output));
        log.end().await;
        let text = log.text();
        assert_eq!(text.lines().count(), MAX_LINES);
        assert_eq!(text.lines().next(), Some("3"));
    }

    #[tokio::test]
    async fn a_search_begins_at_its_own_run() {
        let log = Log::new();
        log.follow(&b"port 1\n"[..]);
        log.end().await;
        let second = log.follow(&b"port 2\n"[..]);
        let port = |line: &str| line.strip_prefix("port ").map(str::to_owned);
        assert_eq!(log.find(second, port).await.as_deref(), Some("2"));
        assert_eq!(log.find(second, |line| line.strip_prefix("pipe").map(str::to_owned)).await, None);
    }
}
