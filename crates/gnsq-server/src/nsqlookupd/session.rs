//! One connection of the TCP protocol without its socket: bytes in, bytes out.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use gnsq_proto::lookupd::{LookupdCommand, LookupdError, LookupdReply, MAGIC_V1, PeerInfo};
use gnsq_proto::{ErrorCode, ServerError};

use super::Shared;
use super::producer::Producer;
use super::registry::PeerId;

/// What a connection has said so far. Dropping it unregisters what it has registered.
///
/// Give it all input as it comes, and send what it puts out; when it has enough, close.
pub(super) struct Session {
    shared: Arc<Shared>,
    remote_address: String,
    greeted: bool,
    peer: Option<PeerId>,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, remote_address: String) -> Self {
        Self { shared, remote_address, greeted: false, peer: None }
    }

    /// Answers the commands that are complete. Returns whether more may come: after an error nothing may.
    pub(super) fn answer(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> bool {
        if !self.greeted {
            if input.len() < MAGIC_V1.len() {
                return true;
            }
            if !input.starts_with(MAGIC_V1) {
                LookupdReply::Error(ServerError::new(ErrorCode::BadProtocol, "")).encode(out);
                return false;
            }
            input.advance(MAGIC_V1.len());
            self.greeted = true;
        }
        loop {
            if self.peer.is_some() && behind_identify(input).is_some() {
                // Before the body is there.
                invalid(IDENTIFIED).encode(out);
                return false;
            }
            let reply = match LookupdCommand::decode(input, self.shared.max_body_size) {
                Ok(None) => return true,
                Ok(Some(command)) => self.run(command),
                Err(error) => self.refusal(&error),
            };
            reply.encode(out);
            if let LookupdReply::Error(error) = reply {
                tracing::warn!(client = self.remote_address, %error, "an nsqd's command is refused");
                return false;
            }
        }
    }

    /// Nothing more comes behind `input`, which is no whole command: what nsqlookupd says to that, if anything.
    pub(super) fn cut_short(&self, input: &[u8], out: &mut BytesMut) {
        let Some(behind) = behind_identify(input).filter(|_| self.greeted) else { return };
        let missing =
            if behind.len() < 4 { "IDENTIFY failed to read body size" } else { "IDENTIFY failed to read body" };
        LookupdReply::Error(ServerError::new(ErrorCode::BadBody, missing)).encode(out);
    }

    fn run(&mut self, command: LookupdCommand) -> LookupdReply {
        match (command, self.peer) {
            (LookupdCommand::Ping, peer) => {
                if let Some(peer) = peer {
                    self.shared.registry.lock().touch(peer, self.shared.clock.now());
                }
                LookupdReply::Ok
            }
            (LookupdCommand::Identify(body), None) => self.identify(&body),
            (LookupdCommand::Identify(_), Some(_)) => invalid(IDENTIFIED),
            (LookupdCommand::Register(topic, channel), Some(peer)) => {
                let done = self.shared.change(|registry| registry.register(peer, topic, channel));
                done.map_or_else(|full| invalid(full.to_string()), |()| LookupdReply::Ok)
            }
            (LookupdCommand::Unregister(topic, channel), Some(peer)) => {
                self.shared.change(|registry| registry.unregister(peer, &topic, channel.as_ref()));
                LookupdReply::Ok
            }
            (LookupdCommand::Register(..) | LookupdCommand::Unregister(..), None) => invalid(NOT_IDENTIFIED),
        }
    }

    fn identify(&mut self, body: &[u8]) -> LookupdReply {
        let producer = match Producer::parse(&self.remote_address, body) {
            Ok(producer) => producer,
            Err(text) => return LookupdReply::Error(ServerError::new(ErrorCode::BadBody, text)),
        };
        let now = self.shared.clock.now();
        self.peer = Some(self.shared.change(|registry| registry.join(producer, now)));
        let myself: &PeerInfo = &self.shared.myself;
        match serde_json::to_vec(myself) {
            Ok(json) => LookupdReply::Data(Bytes::from(json)),
            // Go on without: an nsqd takes that as "no HTTP address known".
            Err(_) => LookupdReply::Ok,
        }
    }

    /// nsqlookupd looks at who asks before it looks at what.
    fn refusal(&self, error: &LookupdError) -> LookupdReply {
        match (error, self.peer) {
            (LookupdError::Parameters(_) | LookupdError::Topic { .. } | LookupdError::Channel { .. }, None) => {
                invalid(NOT_IDENTIFIED)
            }
            _ => error.to_reply(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(peer) = self.peer {
            self.shared.change(|registry| registry.leave(peer));
        }
    }
}

/// What is behind the line of an IDENTIFY, if that is what comes first.
fn behind_identify(input: &[u8]) -> Option<&[u8]> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let word = input[..end].trim_ascii().split(|byte| *byte == b' ').next()?;
    (word == b"IDENTIFY").then(|| &input[end + 1..])
}

fn invalid(text: impl Into<String>) -> LookupdReply {
    LookupdReply::Error(ServerError::new(ErrorCode::Invalid, text))
}

const IDENTIFIED: &str = "cannot IDENTIFY again";
const NOT_IDENTIFIED: &str = "client must IDENTIFY";
