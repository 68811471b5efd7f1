//! A model of one nsqd with one channel and at most one consumer.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Command, Event, World};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) published: Duration,
    pub(crate) attempts: u16,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// One way.
    pub(crate) latency: Duration,
    pub(crate) message_size: usize,
    pub(crate) max_rdy_count: u32,
    pub(crate) queue: VecDeque<Message>,
    /// The connection it serves, 0 for none.
    pub(crate) connection: u64,
    pub(crate) rdy: u32,
    /// Sent, buffered ones included, and not answered.
    pub(crate) in_flight: Vec<Message>,
    buffer: Vec<Message>,
    /// When its flush timer ticks, once or again: every 250 ms.
    tick: Duration,
    flush_scheduled: bool,
    /// Since when messages wait and none was sent.
    waiting_since: Option<Duration>,
    /// The longest that messages waited until one was sent, if one was.
    longest_wait: Duration,
    pub(crate) sent: u64,
}

impl Node {
    pub(crate) fn new(latency: Duration, tick: Duration) -> Self {
        Self {
            latency,
            message_size: 100,
            max_rdy_count: 2500,
            queue: VecDeque::new(),
            connection: 0,
            rdy: 0,
            in_flight: Vec::new(),
            buffer: Vec::new(),
            tick,
            flush_scheduled: false,
            waiting_since: None,
            longest_wait: Duration::ZERO,
            sent: 0,
        }
    }

    /// Begins to serve a connection.
    pub(crate) fn accept(&mut self, connection: u64, now: Duration) {
        self.connection = connection;
        self.rdy = 0;
        self.flush_scheduled = false;
        self.waiting_since = (!self.queue.is_empty()).then_some(now);
    }

    /// Loses its connection: what was in flight goes back to the queue, as if it had timed out.
    pub(crate) fn hang_up(&mut self) {
        self.connection = 0;
        self.queue.extend(self.in_flight.drain(..));
        self.buffer.clear();
    }

    /// The longest that messages waited until one was sent, or wait now.
    pub(crate) fn longest_wait(&self, now: Duration) -> Duration {
        self.longest_wait.max(self.waiting_since.map_or(Duration::ZERO, |since| now.saturating_sub(since)))
    }

    fn is_ready(&self) -> bool {
        self.connection != 0 && self.in_flight.len() < self.rdy as usize
    }
}

impl World {
    pub(super) fn on_publish(&mut self, node: usize, count: usize) {
        let message = Message { published: self.now, attempts: 0 };
        let nsqd = &mut self.nodes[node];
        nsqd.queue.extend(std::iter::repeat_n(message, count));
        nsqd.waiting_since = nsqd.waiting_since.or(Some(self.now));
        self.pump(node);
    }

    pub(super) fn on_commands(&mut self, node: usize, connection: u64, commands: Vec<Command>) {
        let nsqd = &mut self.nodes[node];
        if nsqd.connection != connection {
            return;
        }
        for command in commands {
            match command {
                Command::Rdy(rdy) => {
                    assert!(rdy <= nsqd.max_rdy_count, "E_INVALID: RDY {rdy}");
                    nsqd.rdy = rdy;
                }
                // Which one it is makes no difference to anything here.
                Command::Finish => drop(nsqd.in_flight.pop().expect("a message in flight")),
                Command::Requeue(message) => {
                    nsqd.in_flight.pop().expect("a message in flight");
                    nsqd.queue.push_back(message);
                    nsqd.waiting_since = nsqd.waiting_since.or(Some(self.now));
                }
            }
        }
        self.pump(node);
    }

    pub(super) fn on_flush(&mut self, node: usize, connection: u64) {
        if self.nodes[node].connection == connection {
            self.nodes[node].flush_scheduled = false;
            self.flush(node);
        }
    }

    /// Sends what may be sent. Messages go into the output buffer, which is flushed when the consumer isn't ready for
    /// more, when it is full, and otherwise by a timer.
    fn pump(&mut self, node: usize) {
        loop {
            let nsqd = &mut self.nodes[node];
            if !nsqd.is_ready() {
                self.flush(node);
                return;
            }
            let Some(mut message) = nsqd.queue.pop_front() else { break };
            message.attempts += 1;
            if let Some(since) = nsqd.waiting_since {
                nsqd.longest_wait = nsqd.longest_wait.max(self.now.saturating_sub(since));
            }
            nsqd.waiting_since = (!nsqd.queue.is_empty()).then_some(self.now);
            nsqd.sent += 1;
            nsqd.in_flight.push(message);
            nsqd.buffer.push(message);
            if nsqd.buffer.len() * nsqd.message_size >= OUTPUT_BUFFER_SIZE {
                self.flush(node);
            }
        }
        let nsqd = &mut self.nodes[node];
        if !nsqd.buffer.is_empty() && !nsqd.flush_scheduled {
            nsqd.flush_scheduled = true;
            let connection = nsqd.connection;
            let mut tick = nsqd.tick;
            while tick <= self.now {
                tick += OUTPUT_BUFFER_TIMEOUT;
            }
            nsqd.tick = tick;
            self.schedule(tick, Event::Flush { node, connection });
        }
    }

    fn flush(&mut self, node: usize) {
        let nsqd = &mut self.nodes[node];
        if nsqd.buffer.is_empty() {
            return;
        }
        let messages = std::mem::take(&mut nsqd.buffer);
        let (at, connection) = (self.now + nsqd.latency, nsqd.connection);
        self.schedule(at, Event::ToConsumer { node, connection, messages });
    }
}

/// nsqd's default `output_buffer_size`.
const OUTPUT_BUFFER_SIZE: usize = 16 * 1024;

/// nsqd's default `output_buffer_timeout`.
const OUTPUT_BUFFER_TIMEOUT: Duration = Duration::from_millis(250);
