//! PUB, DPUB, MPUB.

use std::time::Duration;

use bytes::BytesMut;
use gnsq_proto::command::decode::{MpubScan, Params, number, sized_message};
use gnsq_proto::frame::{OK, encode_response};
use gnsq_proto::{ErrorCode, TopicName};

use super::consuming::nanos;
use super::refusal::Refusal;
use super::session::{Session, Step, complete};
use crate::nsqd::auth::Permission;
use crate::nsqd::budget::Refused;
use crate::nsqd::message::Now;
use crate::nsqd::topic::Topic;

/// The topic of a publish.
enum Target {
    /// The current one of those that are known.
    Current,
    /// There is none of that name yet.
    New(TopicName),
}

impl Session {
    pub(super) fn publish(
        &mut self,
        mut params: Params,
        behind: &[u8],
        now: Now,
        out: &mut BytesMut,
    ) -> Result<Step, Refusal> {
        let Some(name) = params.next() else { return Err(too_few("PUB")) };
        let target = self.target(name).ok_or_else(|| Refusal::topic("PUB", name))?;
        self.publish_one("PUB", &ErrorCode::PubFailed, target, None, behind, now, out)
    }

    pub(super) fn publish_later(
        &mut self,
        mut params: Params,
        behind: &[u8],
        now: Now,
        out: &mut BytesMut,
    ) -> Result<Step, Refusal> {
        let (Some(name), Some(delay)) = (params.next(), params.next()) else { return Err(too_few("DPUB")) };
        let target = self.target(name).ok_or_else(|| Refusal::topic("DPUB", name))?;
        let millis = number(delay).ok_or_else(|| Refusal::invalid("DPUB could not parse timeout ", delay))?;
        let max = self.broker.options().max_req_timeout;
        let delay = u64::try_from(nanos(millis)).ok().map(Duration::from_nanos).filter(|delay| *delay <= max);
        let Some(delay) = delay else {
            let text = format!("DPUB timeout {millis} out of range 0-{}", max.as_millis());
            return Err(Refusal::invalid(&text, b""));
        };
        self.publish_one("DPUB", &ErrorCode::DpubFailed, target, Some(delay), behind, now, out)
    }

    pub(super) fn publish_all(
        &mut self,
        mut params: Params,
        behind: &[u8],
        now: Now,
        out: &mut BytesMut,
    ) -> Result<Step, Refusal> {
        let Some(name) = params.next() else { return Err(too_few("MPUB")) };
        // nsqd writes the code twice.
        let target = self.target(name).ok_or_else(|| Refusal::topic("E_BAD_TOPIC MPUB", name))?;
        if let Some(wait) = self.authorize_publish("MPUB", &target, now)? {
            return Ok(wait);
        }
        let failed = |refused: Refused| failed(&ErrorCode::MpubFailed, "MPUB", refused);
        self.open(target).map_err(failed)?;
        let options = self.broker.options();
        let body = self.mpub.advance(behind, options.max_msg_size, options.max_body_size);
        let (messages, consumed) = match complete(body.map_err(|error| Refusal::body("MPUB", error))?) {
            Ok(complete) => complete,
            Err(step) => return Ok(step),
        };
        self.mpub = MpubScan::default();
        let count = messages.clone().count() as u64;
        self.put(Target::Current, count, |topic| topic.publish_all(now, messages.clone())).map_err(failed)?;
        encode_response(OK, out);
        Ok(Step::Done(consumed))
    }

    #[allow(clippy::too_many_arguments, reason = "what two commands have in common")]
    fn publish_one(
        &mut self,
        word: &str,
        code: &ErrorCode,
        target: Target,
        delay: Option<Duration>,
        behind: &[u8],
        now: Now,
        out: &mut BytesMut,
    ) -> Result<Step, Refusal> {
        let body = sized_message(behind, self.broker.options().max_msg_size);
        let (body, consumed) = match complete(body.map_err(|error| Refusal::body(word, error))?) {
            Ok(complete) => complete,
            Err(step) => return Ok(step),
        };
        if let Some(wait) = self.authorize_publish(word, &target, now)? {
            return Ok(wait);
        }
        self.put(target, 1, |topic| topic.publish(now, body, delay)).map_err(|refused| failed(code, word, refused))?;
        encode_response(OK, out);
        Ok(Step::Done(consumed))
    }

    /// Finds the topic of that name, which is the current one from then on. Nothing if that is no name.
    fn target(&mut self, bytes: &[u8]) -> Option<Target> {
        let name = str::from_utf8(bytes).ok()?;
        if self.recent.find(name) {
            return Some(Target::Current);
        }
        // One that exists has a valid name.
        if let Some(topic) = self.broker.topic(name) {
            self.recent.set(topic, &self.client);
            return Some(Target::Current);
        }
        TopicName::new(name).ok().map(Target::New)
    }

    /// Makes the topic, if it is new, the current one.
    fn open(&mut self, target: Target) -> Result<(), Refused> {
        if let Target::New(name) = target {
            self.recent.set(self.broker.topic_or_create(&name)?, &self.client);
        }
        Ok(())
    }

    /// Publishes so many messages to the topic, which is made anew if it is deleted meanwhile.
    fn put(
        &mut self,
        target: Target,
        messages: u64,
        publish: impl Fn(&Topic) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.open(target)?;
        for _ in 0..TRIES {
            let Some(outlet) = self.recent.current() else { break };
            match publish(&outlet.topic) {
                Ok(()) => {
                    outlet.count(messages);
                    return Ok(());
                }
                Err(Refused::Deleted) => {
                    let name = outlet.topic.name().clone();
                    self.open(Target::New(name))?;
                }
                Err(refused) => return Err(refused),
            }
        }
        Err(Refused::Deleted)
    }

    fn authorize_publish(&mut self, word: &str, target: &Target, now: Now) -> Result<Option<Step>, Refusal> {
        if self.broker.surroundings().authority.is_none() {
            return Ok(None);
        }
        let name = match (target, self.recent.current()) {
            (Target::New(name), _) => name.clone(),
            (Target::Current, Some(outlet)) => outlet.topic.name().clone(),
            (Target::Current, None) => return Ok(None),
        };
        self.authorize(word, &name, None, Permission::Publish, now)
    }
}

fn too_few(word: &str) -> Refusal {
    Refusal::invalid(&format!("{word} insufficient number of parameters"), b"")
}

fn failed(code: &ErrorCode, word: &str, refused: Refused) -> Refusal {
    Refusal::new(code.clone(), format!("{word} failed {refused}"))
}

/// One that is deleted again and again meanwhile is left alone.
const TRIES: usize = 5;
