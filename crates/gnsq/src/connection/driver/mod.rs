//! The task that moves a connection's bytes.

mod here;
mod lanes;
mod ops;
mod publishes;
mod transfer;
mod upgrade;
mod waiter;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use gnsq_proto::connection::{Connection, ConnectionError, Event};
use gnsq_proto::{Frame, MessageId, ReadyWindow};
use tokio::time::Sleep;

use self::lanes::Lanes;
use self::waiter::Waiter;
use super::confirmations::Confirmations;
use super::handle::Handle;
use super::op::{Failure, Op, Reply};
use super::op_list::OpList;
use super::read_size::ReadSize;
use super::stats::Tally;
use super::stream::Stream;
use crate::error::Error;
use crate::message::{Message, Times};
use crate::trace::message_event;

/// Drives one connection until it ends: reads what there is, hands it on, does what the handle's users ask, writes.
///
/// It waits for nobody but the socket. Each time it runs it does all there is to do, so that what came together
/// costs one wake-up, one read and one write.
pub(super) struct Driver {
    handle: Handle,
    stream: Stream,
    protocol: Connection<Waiter>,
    window: ReadyWindow,
    /// The highest RDY that was ever sent.
    most_ready: u32,
    /// How many messages came while they were in flight already, since then.
    repeated: usize,
    repeated_since: Instant,
    /// How many messages came beyond all that RDY allows.
    overflows: u64,
    /// Taken from the handle, to be done.
    ops: OpList,
    tally: Tally,
    lanes: Lanes,
    /// Publishes since nothing was outstanding.
    burst: usize,
    /// What a write on another thread has come to, for the task to end with.
    failed_write: Option<io::Error>,
    /// No publish's time is over earlier than this. Kept as a bound, so that neither sending nor answering has to search.
    publishes_until: Option<Instant>,
    /// Received, to be handed on.
    batch: Vec<Message>,
    read_size: ReadSize,
    timer: Pin<Box<Sleep>>,
    timer_at: Instant,
    /// Since when the socket takes nothing of what is to be sent.
    stalled: Option<Instant>,
    confirmations: Confirmations,
    /// Who wants to know when the bytes up to a position have left.
    flushes: VecDeque<(u64, Reply)>,
    identify_sent: Option<Instant>,
    /// Until when a TLS handshake may take.
    handshake_until: Option<Instant>,
    /// Until when a close may take.
    closing: Option<Instant>,
    /// Until when a close waits for late messages, once nsqd has said that it sends none.
    late_until: Option<Instant>,
    /// They are no longer waited for.
    settled: bool,
    /// Nothing more can be sent.
    shut: bool,
    ended: bool,
}

impl Driver {
    pub(super) fn new(handle: Handle, stream: Stream) -> Self {
        let now = Instant::now();
        let mut protocol = Connection::new(now);
        protocol.set_max_frame_size(handle.shared().config.max_frame_size);
        if handle.observer().takes_frames() {
            protocol.set_by_hand();
        }
        let window = ReadyWindow::new(handle.shared().config.low_latency);
        Self {
            handle,
            stream,
            protocol,
            window,
            most_ready: 0,
            repeated: 0,
            repeated_since: now,
            overflows: 0,
            ops: OpList::default(),
            tally: Tally::default(),
            lanes: Lanes::default(),
            burst: 0,
            failed_write: None,
            publishes_until: None,
            batch: Vec::new(),
            read_size: ReadSize::new(),
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            timer_at: now,
            stalled: None,
            confirmations: Confirmations::default(),
            flushes: VecDeque::new(),
            identify_sent: None,
            handshake_until: None,
            closing: None,
            late_until: None,
            settled: false,
            shut: false,
            ended: false,
        }
    }

    /// Runs until there is nothing to do, or the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx).map(|cause| self.end(&cause))
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        self.handle.shared().waker.register(cx.waker());
        let mut now = Instant::now();
        for _ in 0..MAX_ROUNDS {
            let step = self.round(cx, &mut now);
            self.publish_counts();
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => return Poll::Pending,
                Err(error) => return Poll::Ready(error),
            }
        }
        // Its timer is looked at when there is nothing to read. Where there always is, time goes on all the same.
        let timeouts = self.handle_timeouts(Instant::now());
        self.publish_counts();
        if let Err(error) = timeouts {
            return Poll::Ready(error);
        }
        // There is more to do, but others want to run too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, cx: &mut Context<'_>, now: &mut Instant) -> Result<Step, Error> {
        self.do_ops(*now);
        self.send_due(*now);
        self.write(cx, *now)?;
        if self.may_shut(*now) {
            self.shut(cx)?;
        }
        match self.read(cx)? {
            Poll::Ready(()) => {
                *now = Instant::now();
                self.protocol.received(*now);
                self.events(*now)?;
                Ok(Step::Again)
            }
            Poll::Pending => {
                if !self.arm_timer() || self.timer.as_mut().poll(cx).is_pending() {
                    return Ok(Step::Wait);
                }
                *now = Instant::now();
                self.handle_timeouts(*now)?;
                Ok(Step::Again)
            }
        }
    }

    fn events(&mut self, now: Instant) -> Result<(), Error> {
        // The messages of one batch arrived together, and expire together.
        let mut times = None;
        let result = loop {
            let in_flight = self.protocol.in_flight();
            match self.protocol.poll_event(now) {
                Ok(Some(Event::Message { frame, deadline })) => {
                    if self.protocol.in_flight() > self.most_in_flight() {
                        self.overflow(frame.id);
                        continue;
                    }
                    if self.protocol.in_flight() == in_flight
                        && let Err(error) = self.count_repeated(now)
                    {
                        break Err(error);
                    }
                    if times.is_none() && self.handle.topic().is_none() {
                        let text = "a message came before a channel was subscribed: this is no nsqd";
                        break Err(self.io_error(io::Error::new(io::ErrorKind::InvalidData, text)));
                    }
                    let times = *times.get_or_insert_with(|| Times::new(&self.handle, now, deadline));
                    self.batch.push(Message::new(frame, self.handle.clone(), times));
                }
                Ok(Some(event)) => {
                    if let Err(error) = self.event(event, now) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(self.protocol_error(error)),
            }
        };
        self.deliver(now);
        result
    }

    /// A message came that is in flight here already. nsqd does that when its clock has a message time out before
    /// this side's has, which is rare; done without end it would fill the memory.
    fn count_repeated(&mut self, now: Instant) -> Result<(), Error> {
        let (timeout, _) = self.handle.msg_timeouts();
        if now.saturating_duration_since(self.repeated_since) > timeout {
            self.repeated_since = now;
            self.repeated = 0;
        }
        self.repeated += 1;
        if self.repeated <= self.most_in_flight() {
            return Ok(());
        }
        let text = "the same messages come again and again before their time is over: this is no nsqd";
        Err(self.io_error(io::Error::new(io::ErrorKind::InvalidData, text)))
    }

    fn event(&mut self, event: Event<Waiter>, now: Instant) -> Result<(), Error> {
        let shared = self.handle.shared();
        match event {
            Event::Answer(waiter, answer) => {
                if let Some(sent) = self.identify_sent.take() {
                    self.window.set_round_trip(now - sent);
                    if let Some(response) = self.protocol.identified() {
                        for difference in response.differences(&shared.config.identify_request()) {
                            tracing::info!(nsqd = %shared.address, %difference, "not granted as asked for");
                        }
                        // Set once: a connection identifies once.
                        let _ = shared.identified.set(response.clone());
                    }
                }
                self.handle.tell_response(&answer);
                if let Some(waiter) = waiter {
                    self.answered(&waiter, now);
                    waiter.answer(answer);
                }
            }
            Event::TooLate(error) => {
                if !Confirmations::is_barrier(&error) {
                    self.handle.tell_error(&error);
                }
                self.confirmations.on_refusal(&error);
                // What can't be touched is no longer in flight.
                self.window.on_answered(now, count(self.protocol.in_flight()));
                self.publish_counts();
                self.send_ready();
            }
            // What hasn't left by now still will, unless the connection ends before: nobody can take it back.
            Event::TimedOut { waiter: Waiter::Ask(reply), .. } => reply.fail(Failure::TimedOut { sent: true }),
            Event::Expired(id) => self.handle.tell_expired(id),
            // Nobody takes it any more.
            Event::Frame(Frame::Message(frame)) if self.closing.is_some() => {
                let _ = self.requeue_by_hand(frame.id);
            }
            Event::Frame(frame) => self.handle.observer().frame(frame),
            Event::Upgrade(upgrade) => self.upgrade(upgrade, now)?,
            // Taken by the caller; and the protocol knows of no deadlines of publishes.
            Event::Message { .. } | Event::TimedOut { .. } => {}
        }
        Ok(())
    }

    /// Hands on what has been received in one go.
    fn deliver(&mut self, now: Instant) {
        if self.batch.is_empty() {
            return;
        }
        self.tally.received += self.batch.len() as u64;
        self.window.on_messages(now, count(self.batch.len()), count(self.protocol.in_flight()));
        self.handle.set_last_message(now, self.window.facts());
        self.publish_counts();
        self.handle.tell_messages(&mut self.batch);
        self.batch.clear();
        self.send_ready();
    }

    /// A server that sends far more than it was allowed to can't fill the memory: the rest goes back.
    fn overflow(&mut self, id: MessageId) {
        self.overflows += 1;
        if self.overflows > 1 {
            message_event!(DEBUG, self.handle, id, "more than RDY allows again: requeued");
        } else {
            message_event!(
                WARN,
                self.handle,
                id,
                "nsqd sends more than RDY allows: requeued; what follows is told at level DEBUG"
            );
        }
        if let Err(error) = self.protocol.requeue(id, Duration::ZERO) {
            tracing::debug!(nsqd = %self.handle.address(), %error, "command not sent");
        }
    }

    /// What RDY allows, twice: nsqd gives a message that timed out to someone else, who may be this connection,
    /// while it is still held here.
    fn most_in_flight(&self) -> usize {
        2 * self.most_ready as usize + SLACK
    }

    fn send_ready(&mut self) {
        if let Some(ready) = self.window.poll_rdy()
            && self.protocol.ready(ready).is_ok()
        {
            self.most_ready = self.most_ready.max(ready);
            self.handle.shared().ready.store(ready, Ordering::Relaxed);
            self.handle.meter().ready.set(ready);
        }
        if let Some(facts) = self.window.poll_report() {
            self.handle.shared().hungry.fetch_or(facts.hungry, Ordering::Relaxed);
            self.handle.observer().attention();
        }
    }

    /// Whether there is a time to wait for.
    fn arm_timer(&mut self) -> bool {
        let Some(next) = self.next_timeout() else { return false };
        if self.is_early(next) {
            self.timer_at = next;
            self.timer.as_mut().reset(next.into());
        }
        true
    }

    fn next_timeout(&self) -> Option<Instant> {
        let config = &self.handle.shared().config;
        let next = [
            self.protocol.next_timeout(),
            self.publishes_until,
            self.window.next_timeout(),
            self.confirmations.next_timeout(),
            self.stalled.map(|since| since + config.write_timeout),
            self.handshake_until,
            self.closing,
            self.late_until.filter(|_| !self.settled),
        ];
        next.into_iter().flatten().min()
    }

    /// Whether a moment is before all that the timer waits for. A timer that is early only looks again; to move it at every
    /// read would cost more.
    fn is_early(&self, moment: Instant) -> bool {
        self.timer_at > moment || self.timer.is_elapsed()
    }

    fn handle_timeouts(&mut self, now: Instant) -> Result<(), Error> {
        let config = &self.handle.shared().config;
        self.settled |= self.late_until.is_some_and(|until| until <= now);
        if self.closing.is_some_and(|until| until <= now) {
            return Err(Error::Closed);
        }
        if self.stalled.is_some_and(|since| since + config.write_timeout <= now) {
            let text = format!("nsqd took no byte for {:?} (write_timeout)", config.write_timeout);
            return Err(self.io_error(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        self.check_handshake(now)?;
        self.confirmations.time_out(now);
        self.time_out_publishes(now);
        let in_flight = self.protocol.in_flight();
        self.protocol.handle_timeout(now).map_err(|error| self.protocol_error(error))?;
        self.events(now)?;
        if self.protocol.in_flight() != in_flight {
            self.window.on_answered(now, count(self.protocol.in_flight()));
        }
        self.window.on_timeout(now);
        self.send_ready();
        Ok(())
    }

    /// Tells the handles how many messages are in flight.
    fn publish_counts(&mut self) {
        if let Some((read, written)) = self.stream.traffic() {
            (self.tally.bytes_read, self.tally.bytes_written) = (read, written);
        }
        let shared = self.handle.shared();
        let in_flight = count(self.protocol.in_flight());
        shared.in_flight.store(in_flight, Ordering::Relaxed);
        self.handle.meter().in_flight.set(in_flight);
        self.handle.counts().publish(self.tally);
        if in_flight == 0 && shared.draining.load(Ordering::Relaxed) && shared.draining.swap(false, Ordering::SeqCst) {
            shared.drained.notify_waiters();
        }
    }

    fn io_error(&self, error: io::Error) -> Error {
        if self.closing.is_some() {
            return Error::Closed;
        }
        let address = self.handle.address().clone();
        #[cfg(feature = "tls")]
        if error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some() {
            return Error::Tls { address, source: Arc::new(error) };
        }
        Error::Io { address, source: Arc::new(error) }
    }

    fn protocol_error(&self, source: ConnectionError) -> Error {
        if let ConnectionError::Server(error) = &source {
            self.handle.tell_error(error);
        }
        Error::Connection { address: self.handle.address().clone(), source }
    }

    /// Everyone who waits is told, once.
    fn end(&mut self, cause: &Error) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // Closed before anyone is told, so that who tries again doesn't meet this connection.
        let undone = self.handle.close(cause.clone());
        for (waiter, loss) in self.protocol.fail() {
            waiter.lose(loss, cause, &self.handle);
        }
        for publish in self.lanes.clear() {
            publish.fail(Failure::NotSent(cause.clone()), &self.handle);
        }
        self.confirmations.fail(cause);
        for (_, reply) in self.flushes.drain(..) {
            reply.fail(Failure::Unknown(cause.clone()));
        }
        for op in undone.into_others() {
            match op {
                Op::Publish(publish) => publish.fail(Failure::NotSent(cause.clone()), &self.handle),
                Op::Ask(_, reply, _) => reply.fail(Failure::NotSent(cause.clone())),
                Op::Confirm(confirm) => confirm.reply.fail(Failure::NotSent(cause.clone())),
                _ => {}
            }
        }
        tracing::debug!(
            topic = self.handle.topic().map(display),
            channel = self.handle.channel().map(display),
            nsqd = %self.handle.address(),
            error = %cause,
            "connection ended"
        );
        self.handle.tell_closed(cause);
    }
}

impl Drop for Driver {
    /// Its task may be dropped with the runtime at any time.
    fn drop(&mut self) {
        self.end(&Error::Closed);
    }
}

enum Step {
    Again,
    Wait,
}

fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

/// How often a connection that never runs dry goes round before others on its thread have a turn.
const MAX_ROUNDS: usize = 32;

/// How many unanswered messages beyond RDY are no flood.
const SLACK: usize = 64;
