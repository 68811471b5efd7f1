//! SUB and what follows it: RDY, FIN, REQ, TOUCH, CLS.

use std::time::Duration;

use bytes::BytesMut;
use gnsq_proto::command::decode::{Params, number};
use gnsq_proto::frame::{CLOSE_WAIT, OK, encode_error, encode_response};
use gnsq_proto::{ChannelName, ErrorCode, MessageId, TopicName};

use super::refusal::Refusal;
use super::session::{RETRY_AFTER, Session, State, Step, Waited};
use crate::nsqd::ClientState;
use crate::nsqd::auth::Permission;
use crate::nsqd::budget::Refused;
use crate::nsqd::channel::SubscribeError;
use crate::nsqd::in_flight::NotInFlight;
use crate::nsqd::message::Now;
use crate::nsqd::subscription::Subscription;

impl Session {
    pub(super) fn subscribe(&mut self, mut params: Params, now: Now, out: &mut BytesMut) -> Result<Step, Refusal> {
        if !matches!(self.state, State::Init) {
            return Err(Refusal::state(b"SUB"));
        }
        if self.liveness.interval().is_none() {
            return Err(Refusal::invalid("cannot SUB with heartbeats disabled", b""));
        }
        let (Some(topic), Some(channel)) = (params.next(), params.next()) else {
            return Err(Refusal::invalid("SUB insufficient number of parameters", b""));
        };
        let topic = name(topic, TopicName::new).ok_or_else(|| Refusal::topic("SUB", topic))?;
        let channel = name(channel, ChannelName::new).ok_or_else(|| Refusal::channel("SUB", channel))?;
        if let Some(wait) = self.authorize("SUB", &topic, Some(&channel), Permission::Subscribe, now)? {
            return Ok(wait);
        }
        match self.add_to(&topic, &channel) {
            Ok(subscription) => {
                self.set_subscribed(subscription);
                encode_response(OK, out);
                Ok(Step::Done(0))
            }
            Err(NotAdded::Deleted) if !self.retried => {
                self.retried = true;
                let clock = self.broker.clock().clone();
                let until = now.tick.after(RETRY_AFTER);
                Ok(Step::Wait(Box::pin(async move {
                    clock.sleep_until(Some(until)).await;
                    Waited::Retry
                })))
            }
            Err(NotAdded::Deleted) => Err(Refusal::new(ErrorCode::SubFailed, "SUB failed to deleted topic/channel")),
            Err(NotAdded::Refused(reason)) => Err(Refusal::new(ErrorCode::SubFailed, format!("SUB failed {reason}"))),
        }
    }

    fn add_to(&self, topic: &TopicName, channel: &ChannelName) -> Result<Subscription, NotAdded> {
        let topic = self.broker.topic_or_create(topic)?;
        let channel = topic.channel_or_create(channel)?;
        Ok(channel.subscribe(&self.client, self.delivery)?)
    }

    pub(super) fn ready(&mut self, mut params: Params) -> Result<Step, Refusal> {
        let subscription = match &self.state {
            State::Subscribed(subscription) => subscription,
            // Too late to matter, whatever it says.
            State::Closing(_) => return Ok(Step::Done(0)),
            State::Hello | State::Init => return Err(Refusal::state(b"RDY")),
        };
        let count = match params.next() {
            None => 1,
            Some(digits) => {
                number(digits).ok_or_else(|| Refusal::invalid("RDY could not parse count ", digits))?.cast_signed()
            }
        };
        let max = self.broker.options().max_rdy_count;
        let Some(ready) = u32::try_from(count).ok().filter(|ready| *ready <= max) else {
            return Err(Refusal::invalid(&format!("RDY count {count} out of range 0-{max}"), b""));
        };
        subscription.set_ready(ready);
        self.hungry = true;
        Ok(Step::Done(0))
    }

    pub(super) fn finish(&mut self, mut params: Params, now: Now, out: &mut BytesMut) -> Result<Step, Refusal> {
        let subscription = self.subscription("FIN")?;
        let id = message_id("FIN", params.next())?;
        match subscription.finish(now, id) {
            Ok(()) => self.hungry = true,
            Err(error) => too_late(&ErrorCode::FinFailed, "FIN", id, error, out),
        }
        Ok(Step::Done(0))
    }

    pub(super) fn requeue(&mut self, mut params: Params, now: Now, out: &mut BytesMut) -> Result<Step, Refusal> {
        let subscription = self.subscription("REQ")?;
        let (id, Some(delay)) = (params.next(), params.next()) else {
            return Err(Refusal::invalid("REQ insufficient number of params", b""));
        };
        let id = message_id("REQ", id)?;
        let millis = number(delay).ok_or_else(|| Refusal::invalid("REQ could not parse timeout ", delay))?;
        // A negative one is none, as where the nanoseconds overflow.
        let nanos = u64::try_from(nanos(millis)).unwrap_or(0);
        let delay = Duration::from_nanos(nanos).min(self.broker.options().max_req_timeout);
        match subscription.requeue(now, id, delay) {
            Ok(()) => self.hungry = true,
            Err(error) => too_late(&ErrorCode::ReqFailed, "REQ", id, error, out),
        }
        Ok(Step::Done(0))
    }

    pub(super) fn touch(&mut self, mut params: Params, now: Now, out: &mut BytesMut) -> Result<Step, Refusal> {
        let subscription = self.subscription("TOUCH")?;
        let id = message_id("TOUCH", params.next())?;
        if let Err(error) = subscription.touch(now, id) {
            too_late(&ErrorCode::TouchFailed, "TOUCH", id, error, out);
        }
        Ok(Step::Done(0))
    }

    pub(super) fn start_close(&mut self, out: &mut BytesMut) -> Result<Step, Refusal> {
        match std::mem::replace(&mut self.state, State::Init) {
            State::Subscribed(subscription) => {
                subscription.stop();
                self.state = State::Closing(subscription);
                self.client.set_state(ClientState::Closing);
                encode_response(CLOSE_WAIT, out);
                Ok(Step::Done(0))
            }
            other => {
                self.state = other;
                Err(Refusal::state(b"CLS"))
            }
        }
    }

    fn subscription(&self, word: &str) -> Result<&Subscription, Refusal> {
        match &self.state {
            State::Subscribed(subscription) | State::Closing(subscription) => Ok(subscription),
            State::Hello | State::Init => Err(Refusal::state(word.as_bytes())),
        }
    }
}

/// Why a client is not a channel's consumer now.
enum NotAdded {
    Deleted,
    Refused(String),
}

impl From<Refused> for NotAdded {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Deleted => Self::Deleted,
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<SubscribeError> for NotAdded {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Deleted => Self::Deleted,
            other @ SubscribeError::TooManyConsumers { .. } => Self::Refused(other.to_string()),
        }
    }
}

/// The name that bytes are, if they are one.
fn name<'a, T, E>(bytes: &'a [u8], new: impl Fn(&'a str) -> Result<T, E>) -> Option<T> {
    new(str::from_utf8(bytes).ok()?).ok()
}

/// Milliseconds as the nanoseconds that nsqd computes of them: it lets them overflow.
pub(super) fn nanos(millis: u64) -> i64 {
    millis.cast_signed().wrapping_mul(1_000_000)
}

fn message_id<'a>(word: &str, param: Option<&'a [u8]>) -> Result<&'a [u8; MessageId::LEN], Refusal> {
    let Some(param) = param else {
        return Err(Refusal::invalid(&format!("{word} insufficient number of params"), b""));
    };
    param.try_into().map_err(|_| Refusal::invalid("invalid message ID", b""))
}

/// Says that an answer to a message came to nothing. The connection goes on.
fn too_late(code: &ErrorCode, word: &str, id: &[u8; MessageId::LEN], error: NotInFlight, out: &mut BytesMut) {
    let text = [word.as_bytes(), b" ", id, b" failed ", error.to_string().as_bytes()].concat();
    encode_error(code, &text, out);
}
