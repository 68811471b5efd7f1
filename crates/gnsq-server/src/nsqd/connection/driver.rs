//! Moves a connection's bytes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use gnsq_proto::frame::encode_error;

use super::buffers::{self, SIZE};
use super::identify::Granted;
use super::liveness::Due;
use super::refusal::Refusal;
use super::session::{Session, Step, Waited};
use super::transport::Transport;
use crate::nsqd::message::Now;

/// Drives one connection: reads what there is, has the session do all commands in it, takes messages, and writes once.
pub(super) struct Driver {
    pub(super) session: Session,
    pub(super) transport: Transport,
    /// What the session has not taken yet.
    pub(super) input: BytesMut,
    /// What has yet to be sent.
    pub(super) output: BytesMut,
    /// The input is no use before it has so many bytes.
    needed: usize,
    /// What the first command in the input waits for.
    waiting: Option<Pin<Box<dyn Future<Output = Waited> + Send>>>,
    /// What comes when the output is sent. No command is taken any more.
    next: Option<Next>,
}

/// Why a driver has stopped.
pub(super) enum Next {
    /// The connection is over.
    End,
    /// After an error, of which the client shall learn.
    Refused,
    /// The stream has to be changed.
    Upgrade(Box<Granted>),
}

impl Driver {
    pub(super) fn new(session: Session, transport: Transport) -> Self {
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self { session, transport, input, output, needed: 0, waiting: None, next: None }
    }

    /// Runs until the connection is over or has to be changed.
    pub(super) async fn drive(&mut self) -> Next {
        let clock = self.session.broker.clock().clone();
        let client = self.session.client.clone();
        let mut armed = self.session.liveness.next();
        let mut alarm = pin!(clock.sleep_until(armed));
        let mut bell = pin!(client.rung());
        let next = poll_fn(|cx| {
            while bell.as_mut().poll(cx).is_ready() {
                self.session.hungry = true;
                bell.set(client.rung());
            }
            if client.is_closed() {
                return Poll::Ready(Next::End);
            }
            let now = self.session.broker.now();
            while alarm.as_mut().poll(cx).is_ready() {
                if !self.look_at_the_time(now) {
                    return Poll::Ready(Next::End);
                }
                armed = self.session.liveness.next();
                alarm.set(clock.sleep_until(armed));
            }
            buffers::lend(&mut self.input);
            buffers::lend(&mut self.output);
            let result = self.run(cx, now);
            buffers::take_back(&mut self.output);
            buffers::take_back(&mut self.input);
            // A timer that is early only looks again; to move it at every turn would cost more.
            let next = self.session.liveness.next();
            if result.is_pending() && next.is_some_and(|next| armed.is_none_or(|armed| next < armed)) {
                armed = next;
                alarm.set(clock.sleep_until(armed));
                if alarm.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                    alarm.set(clock.sleep_until(armed));
                }
            }
            result
        });
        next.await
    }

    /// Does all there is to do, up to a bound, after which others have their turn.
    fn run(&mut self, cx: &mut Context<'_>, mut now: Now) -> Poll<Next> {
        for _ in 0..MAX_ROUNDS {
            self.execute(now);
            if let Some(waiting) = &mut self.waiting {
                // It isn't the client that is slow.
                self.session.liveness.command(now.tick);
                if let Poll::Ready(waited) = waiting.as_mut().poll(cx) {
                    self.waiting = None;
                    self.session.resume(waited);
                    continue;
                }
            }
            if self.session.hungry && self.next.is_none() && self.unsent() < SIZE {
                self.session.take(now, &mut self.output, SIZE);
            }
            match self.transport.poll_write(cx, &mut self.output) {
                Ok(written) => {
                    self.session.liveness.written(now.tick, written.all, written.some);
                    if written.all
                        && let Some(next) = self.next.take()
                    {
                        if matches!(next, Next::Refused) {
                            self.discard(cx);
                        }
                        return Poll::Ready(next);
                    }
                    if written.all && (self.session.hungry || self.has_commands()) {
                        continue;
                    }
                }
                Err(error) => return self.lost(&error),
            }
            if self.next.is_some() || self.waiting.is_some() || self.unsent() >= SIZE {
                return Poll::Pending;
            }
            match self.read(cx) {
                Poll::Ready(Ok(0)) => self.input_ended(now),
                Poll::Ready(Ok(_)) => now = self.session.broker.now(),
                Poll::Ready(Err(error)) => return self.lost(&error),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does all commands that are there, unless their answers find no room.
    fn execute(&mut self, now: Now) {
        let mut at = 0;
        while self.has_commands_behind(at) {
            self.needed = 0;
            match self.session.execute(&self.input[at..], now, &mut self.output) {
                Ok(Step::Done(consumed)) => at += consumed,
                Ok(Step::Incomplete(needed, _)) => self.needed = needed,
                Ok(Step::Wait(future)) => self.waiting = Some(future),
                Ok(Step::Upgrade(consumed, granted)) => {
                    at += consumed;
                    self.next = Some(Next::Upgrade(granted));
                }
                Err(refusal) => {
                    self.refuse(refusal);
                    at = self.input.len();
                }
            }
        }
        if at == 0 {
            return;
        }
        self.session.liveness.command(now.tick);
        if at == self.input.len() {
            // Rather than step over it, which would use up the buffer's room.
            self.input.clear();
        } else {
            self.input.advance(at);
        }
    }

    fn input_ended(&mut self, now: Now) {
        match self.session.cut_short(&self.input, now, &mut self.output) {
            Some(refusal) => self.refuse(refusal),
            None => self.next = Some(Next::End),
        }
    }

    fn has_commands(&self) -> bool {
        self.has_commands_behind(0)
    }

    fn has_commands_behind(&self, at: usize) -> bool {
        let rest = self.input.len() - at;
        rest >= self.needed.max(1) && self.waiting.is_none() && self.next.is_none() && self.unsent() < SIZE
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.next = Some(match refusal {
            Refusal::Error(code, text) => {
                let client = self.session.client.name();
                tracing::debug!(%client, "{code} {}", text.escape_ascii());
                encode_error(&code, &text, &mut self.output);
                Next::Refused
            }
            Refusal::Silent => {
                tracing::debug!(client = %self.session.client.name(), "failed to read command - buffer full");
                Next::End
            }
        });
    }

    fn unsent(&self) -> usize {
        self.output.len() + self.transport.unsent()
    }

    /// Whether the connection goes on.
    fn look_at_the_time(&mut self, now: Now) -> bool {
        match self.session.liveness.due(now.tick) {
            Due::Nothing => true,
            Due::Heartbeat => {
                // In front of a handshake it would be misread.
                if self.next.is_none() {
                    Session::heartbeat(&mut self.output);
                }
                true
            }
            Due::Gone(why) => {
                tracing::debug!(client = %self.session.client.name(), "gone: {why}");
                false
            }
        }
    }

    /// Reads with room for what the next command needs, as far as that is known, and no more than has come before.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let missing = self.needed.saturating_sub(self.input.len());
        let room = missing.min(self.input.len().max(SIZE)).max(LEAST_READ);
        if self.input.capacity() - self.input.len() < room {
            self.input.reserve(room);
        }
        self.transport.poll_read(cx, &mut self.input)
    }

    /// Takes what the client has sent meanwhile: to close a socket that has unread bytes would destroy what the client
    /// hasn't read yet.
    fn discard(&mut self, cx: &mut Context<'_>) {
        for _ in 0..MAX_ROUNDS {
            self.input.clear();
            if !matches!(self.read(cx), Poll::Ready(Ok(1..))) {
                return;
            }
        }
    }

    fn lost(&self, error: &io::Error) -> Poll<Next> {
        tracing::debug!(client = %self.session.client.name(), %error, "the connection is lost");
        Poll::Ready(Next::End)
    }
}

/// How often a connection that never runs dry goes round before others on its thread have a turn.
const MAX_ROUNDS: usize = 16;

/// In bytes. A read brings several commands, whatever is left of the one before.
const LEAST_READ: usize = 16 * 1024;
