//! AUTH, and what it allows.

use bytes::{Bytes, BytesMut};
use gnsq_proto::command::decode::{Params, sized_body};
use gnsq_proto::frame::encode_response;
use gnsq_proto::{ChannelName, ErrorCode, Secret, TopicName};
use serde::Serialize;

use super::refusal::{Refusal, quoted};
use super::session::{Session, State, Step, Waited, complete};
use crate::nsqd::auth::{AuthError, Grant, Permission};
use crate::nsqd::message::Now;

/// What a connection may do.
#[derive(Debug, Default)]
pub(super) struct Authorization {
    secret: Option<Secret>,
    /// Of the client's certificate.
    pub(super) common_name: String,
    grant: Option<Grant>,
    /// What the auth servers said to the command that waits for it.
    answer: Option<Result<Grant, AuthError>>,
}

/// nsqd's answer to AUTH.
#[derive(Serialize)]
struct Accepted<'a> {
    identity: &'a str,
    identity_url: &'a str,
    permission_count: usize,
}

impl Authorization {
    pub(super) fn answered(&mut self, answer: Result<Grant, AuthError>) {
        self.answer = Some(answer);
    }
}

impl Session {
    pub(super) fn auth(&mut self, mut params: Params, behind: &[u8], out: &mut BytesMut) -> Result<Step, Refusal> {
        if !matches!(self.state, State::Init) {
            return Err(Refusal::state(b"AUTH"));
        }
        if params.next().is_some() {
            return Err(Refusal::invalid("AUTH invalid number of parameters", b""));
        }
        let body = sized_body(behind, self.broker.options().max_body_size);
        let (secret, consumed) = match complete(body.map_err(|error| Refusal::body("AUTH", error))?) {
            Ok(complete) => complete,
            Err(step) => return Ok(step),
        };
        if self.authorization.grant.is_some() {
            return Err(Refusal::invalid("AUTH already set", b""));
        }
        if self.broker.surroundings().authority.is_none() {
            return Err(Refusal::new(ErrorCode::AuthDisabled, "AUTH disabled"));
        }
        let Some(answer) = self.authorization.answer.take() else {
            let secret = Secret::from(Bytes::copy_from_slice(secret));
            self.authorization.secret = Some(secret.clone());
            return Ok(self.query(secret));
        };
        let grant = answer.map_err(|error| self.auth_failed(&error))?;
        if grant.permission_count() == 0 {
            return Err(Refusal::new(ErrorCode::Unauthorized, "AUTH no authorizations found"));
        }
        let accepted = Accepted {
            identity: &grant.identity,
            identity_url: &grant.identity_url,
            permission_count: grant.permission_count(),
        };
        let json = serde_json::to_string(&accepted)
            .map_err(|_| Refusal::new(ErrorCode::AuthError, "AUTH error"))?
            // As nsqd's language writes JSON; outside of strings there are none of these.
            .replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e");
        encode_response(json.as_bytes(), out);
        self.authorization.grant = Some(grant);
        Ok(Step::Done(consumed))
    }

    /// Whether a command may go on: nothing if so, else what it has to wait for.
    pub(super) fn authorize(
        &mut self,
        word: &str,
        topic: &TopicName,
        channel: Option<&ChannelName>,
        permission: Permission,
        now: Now,
    ) -> Result<Option<Step>, Refusal> {
        if self.broker.surroundings().authority.is_none() {
            return Ok(None);
        }
        let asked = self.authorization.answer.take();
        let is_fresh = asked.is_some();
        if let Some(answer) = asked {
            self.authorization.grant = Some(answer.map_err(|error| self.auth_failed(&error))?);
        }
        let (Some(grant), Some(secret)) = (&self.authorization.grant, &self.authorization.secret) else {
            return Err(Refusal::new(ErrorCode::AuthFirst, format!("AUTH required before {word}")));
        };
        if !is_fresh && grant.is_expired(now.tick) {
            return Ok(Some(self.query(secret.clone())));
        }
        if grant.allows(topic, channel, permission) {
            return Ok(None);
        }
        let (topic, channel) = (quoted(topic.as_str().as_bytes()), channel.map_or("", ChannelName::as_str));
        let text = format!("AUTH failed for {word} on {topic} {}", quoted(channel.as_bytes()));
        Err(Refusal::new(ErrorCode::Unauthorized, text))
    }

    fn query(&self, secret: Secret) -> Step {
        let broker = self.broker.clone();
        let remote_ip = self.client.remote().map(|remote| remote.ip().to_string()).unwrap_or_default();
        let (tls, common_name) = (self.secure, self.authorization.common_name.clone());
        Step::Wait(Box::pin(async move {
            match &broker.surroundings().authority {
                Some(authority) => Waited::Auth(authority.query(&remote_ip, tls, &common_name, &secret).await),
                None => Waited::Retry,
            }
        }))
    }

    fn auth_failed(&self, error: &AuthError) -> Refusal {
        tracing::warn!(client = %self.client.name(), %error, "AUTH failed");
        Refusal::new(ErrorCode::AuthFailed, "AUTH failed")
    }
}
