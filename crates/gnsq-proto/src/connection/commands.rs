//! What a client may ask of nsqd on a connection, and when.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::answers::{Answer, Asked};
use super::{Connection, Phase, Rejected, StateError};
use crate::command::{Command, encode_fin};
use crate::identify::IdentifyRequest;
use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};
use crate::outgoing::Outgoing;
use crate::secret::Secret;

impl<W> Connection<W> {
    /// Asks for features. Its answer comes when all upgrades are done.
    ///
    /// # Errors
    ///
    /// When it was sent before, while another answer is outstanding, or when a channel is subscribed.
    pub fn identify(
        &mut self,
        request: IdentifyRequest,
        waiter: W,
        deadline: Option<Instant>,
    ) -> Result<(), Rejected<W>> {
        if self.phase == Phase::Open && (self.request.is_some() || self.answers.len() > 0) {
            let reason = StateError { command: "IDENTIFY", state: "after another command" };
            return Err(Rejected { reason, waiter });
        }
        let waiter = Self::admit(self.expect("IDENTIFY", Phase::Open), waiter)?;
        self.ask(Asked::Identify, &Command::Identify(request.to_json()), waiter, deadline);
        self.request = Some(request);
        self.phase = Phase::Identifying;
        Ok(())
    }

    /// Sends the secret that nsqd asked for.
    ///
    /// # Errors
    ///
    /// When a channel is subscribed, or IDENTIFY is under way.
    pub fn auth(&mut self, secret: Secret, waiter: W, deadline: Option<Instant>) -> Result<(), Rejected<W>> {
        let waiter = Self::admit(self.expect("AUTH", Phase::Open), waiter)?;
        self.ask(Asked::Auth, &Command::Auth(secret), waiter, deadline);
        Ok(())
    }

    /// Subscribes to a channel. Messages come after [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// When a channel is subscribed already, or IDENTIFY is under way.
    pub fn subscribe(
        &mut self,
        topic: TopicName,
        channel: ChannelName,
        waiter: W,
        deadline: Option<Instant>,
    ) -> Result<(), Rejected<W>> {
        let waiter = Self::admit(self.expect("SUB", Phase::Open), waiter)?;
        self.ask(Asked::Sub, &Command::Sub { topic, channel }, waiter, deadline);
        // Commands may follow at once: should nsqd refuse, it closes the connection anyway.
        self.phase = Phase::Subscribed;
        Ok(())
    }

    /// Publishes: `command` is PUB, DPUB or MPUB.
    ///
    /// # Errors
    ///
    /// While IDENTIFY is under way, or for another command; that has methods of its own.
    pub fn publish(&mut self, command: &Command, waiter: W, deadline: Option<Instant>) -> Result<(), Rejected<W>> {
        let allowed = if matches!(command, Command::Pub { .. } | Command::Dpub { .. } | Command::Mpub { .. }) {
            self.expect_publishing()
        } else {
            Err(StateError { command: "a command other than PUB, DPUB and MPUB", state: "by publish" })
        };
        let waiter = Self::admit(allowed, waiter)?;
        self.ask(Asked::Publish, command, waiter, deadline);
        Ok(())
    }

    /// Publishes what the waiter itself holds, so that nothing is copied for it: `encode` writes one PUB, DPUB or MPUB.
    /// The waiter's deadlines are the caller's own, by way of [`waiters_mut`](Self::waiters_mut).
    ///
    /// # Errors
    ///
    /// While IDENTIFY is under way.
    pub fn publish_held(&mut self, waiter: W, encode: impl FnOnce(&W, &mut Outgoing)) -> Result<(), Rejected<W>> {
        let waiter = Self::admit(self.expect_publishing(), waiter)?;
        encode(&waiter, &mut self.output);
        let end = self.output.queued();
        self.answers.push(Answer { asked: Asked::Publish, waiter: Some(waiter), deadline: None, end });
        Ok(())
    }

    /// Allows nsqd to have `count` messages in flight here.
    ///
    /// # Errors
    ///
    /// When no channel is subscribed.
    pub fn ready(&mut self, count: u32) -> Result<(), StateError> {
        self.expect_subscribed("RDY")?;
        Command::Rdy(count).encode(&mut self.output);
        Ok(())
    }

    /// The message is done. Returns whether it was in flight; if not, nsqd may answer [`Event::TooLate`](super::Event::TooLate).
    ///
    /// # Errors
    ///
    /// When no channel is subscribed.
    pub fn finish(&mut self, id: MessageId) -> Result<bool, StateError> {
        self.expect_subscribed("FIN")?;
        encode_fin(id, &mut self.output);
        Ok(self.in_flight.remove(id))
    }

    /// All of these messages are done.
    ///
    /// # Errors
    ///
    /// When no channel is subscribed.
    pub fn finish_all(&mut self, ids: &[MessageId]) -> Result<(), StateError> {
        self.expect_subscribed("FIN")?;
        for id in ids {
            encode_fin(*id, &mut self.output);
            self.in_flight.remove(*id);
        }
        Ok(())
    }

    /// The message goes back to its channel, after `delay` (whole milliseconds, clamped by nsqd).
    /// Returns whether it was in flight.
    ///
    /// # Errors
    ///
    /// When no channel is subscribed.
    pub fn requeue(&mut self, id: MessageId, delay: Duration) -> Result<bool, StateError> {
        self.expect_subscribed("REQ")?;
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Command::Req { id, delay_ms }.encode(&mut self.output);
        Ok(self.in_flight.remove(id))
    }

    /// As [`requeue`](Self::requeue) without a delay, for a message that nobody wants: one that isn't in flight any more was
    /// answered, or is somebody else's, and nothing is sent. Returns whether it was in flight.
    ///
    /// # Errors
    ///
    /// When no channel is subscribed.
    pub fn give_back(&mut self, id: MessageId) -> Result<bool, StateError> {
        self.expect_subscribed("REQ")?;
        let known = self.in_flight.remove(id);
        if known {
            Command::Req { id, delay_ms: 0 }.encode(&mut self.output);
        }
        Ok(known)
    }

    /// Asks for more time: the message timeout again from now, up to nsqd's maximum. Returns the new deadline if
    /// the message was in flight.
    ///
    /// # Errors
    ///
    /// When no channel is subscribed.
    pub fn touch(&mut self, id: MessageId, now: Instant) -> Result<Option<Instant>, StateError> {
        self.expect_subscribed("TOUCH")?;
        Command::Touch(id).encode(&mut self.output);
        Ok(self.in_flight.touch(id, now))
    }

    /// Requeues every message in flight at once, for a connection that is about to end: nsqd would hold them
    /// until their timeout. Returns how many there were.
    pub fn requeue_all(&mut self) -> usize {
        if !matches!(self.phase, Phase::Subscribed | Phase::Closing) {
            return 0;
        }
        let output = &mut self.output;
        self.in_flight.drain().map(|id| Command::Req { id, delay_ms: 0 }.encode(output)).count()
    }

    /// Sends a command as it stands, [by hand](Self::set_by_hand): not IDENTIFY and AUTH. `is_answered`: nsqd answers it when
    /// it succeeds.
    ///
    /// # Errors
    ///
    /// While IDENTIFY is under way.
    pub fn send(&mut self, command: &Bytes, is_answered: bool) -> Result<(), StateError> {
        if matches!(self.phase, Phase::Identifying | Phase::Switching | Phase::Failed) {
            return Err(self.refuse("a command"));
        }
        self.output.put_body(command);
        if is_answered {
            let end = self.output.queued();
            self.answers.push(Answer { asked: Asked::Anything, waiter: None, deadline: None, end });
        }
        Ok(())
    }

    /// Does nothing, on the wire.
    ///
    /// # Errors
    ///
    /// While IDENTIFY is under way.
    pub fn nop(&mut self) -> Result<(), StateError> {
        if matches!(self.phase, Phase::Identifying | Phase::Switching | Phase::Failed) {
            return Err(self.refuse("NOP"));
        }
        Command::Nop.encode(&mut self.output);
        Ok(())
    }

    /// Asks for no more messages (CLS); answered when nsqd sends none, though one that was on its way may follow.
    /// Messages in flight can still be answered.
    ///
    /// # Errors
    ///
    /// When no channel is subscribed, or at the second call.
    pub fn start_close(&mut self, waiter: W, deadline: Option<Instant>) -> Result<(), Rejected<W>> {
        let waiter = Self::admit(self.expect("CLS", Phase::Subscribed), waiter)?;
        self.ask(Asked::Close, &Command::Cls, waiter, deadline);
        self.phase = Phase::Closing;
        Ok(())
    }

    fn ask(&mut self, asked: Asked, command: &Command, waiter: W, deadline: Option<Instant>) {
        command.encode(&mut self.output);
        self.answers.push(Answer { asked, waiter: Some(waiter), deadline, end: self.output.queued() });
    }

    fn admit(allowed: Result<(), StateError>, waiter: W) -> Result<W, Rejected<W>> {
        match allowed {
            Ok(()) => Ok(waiter),
            Err(reason) => Err(Rejected { reason, waiter }),
        }
    }

    fn expect(&self, command: &'static str, phase: Phase) -> Result<(), StateError> {
        if self.phase == phase { Ok(()) } else { Err(self.refuse(command)) }
    }

    fn expect_publishing(&self) -> Result<(), StateError> {
        match self.phase {
            Phase::Open | Phase::Subscribed | Phase::Closing => Ok(()),
            Phase::Identifying | Phase::Switching | Phase::Failed => Err(self.refuse("a publish")),
        }
    }

    fn expect_subscribed(&self, command: &'static str) -> Result<(), StateError> {
        if matches!(self.phase, Phase::Subscribed | Phase::Closing) { Ok(()) } else { Err(self.refuse(command)) }
    }

    fn refuse(&self, command: &'static str) -> StateError {
        let state = match self.phase {
            Phase::Open => "before a channel is subscribed",
            Phase::Identifying | Phase::Switching => "before IDENTIFY is answered",
            Phase::Subscribed => "after a channel was subscribed",
            Phase::Closing => "after CLS",
            Phase::Failed => "after the connection has ended",
        };
        StateError { command, state }
    }
}
