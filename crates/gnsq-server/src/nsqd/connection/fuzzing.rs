//! A connection without a socket, as the fuzz targets drive it.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use gnsq_proto::frame::{OK, encode_error, encode_response};

use super::identify::{Offer, Request, Settings};
use super::refusal::Refusal;
use super::session::{Session, Step};
use crate::http::fuzzing::poll_once;
use crate::nsqd::NsqdOptions;
use crate::nsqd::broker::Broker;

/// A client's connection, which has yet to say hello.
pub struct FuzzedConnection {
    session: Session,
    input: BytesMut,
    /// How many bytes the next command takes at least.
    needed: usize,
    over: bool,
}

impl FuzzedConnection {
    pub(in crate::nsqd) fn new(broker: &Arc<Broker>) -> Self {
        let session = Session::new(broker.clone(), None);
        Self { session, input: BytesMut::new(), needed: 0, over: false }
    }

    /// Takes bytes and appends the answers to all commands that are complete. An upgrade is granted, and leaves the
    /// stream as it is. An `impatient` connection looks at a command also when it knows that it can't be complete.
    pub fn receive(&mut self, bytes: &[u8], impatient: bool, out: &mut BytesMut) {
        self.input.extend_from_slice(bytes);
        let now = self.session.broker.now();
        while !self.over && !self.input.is_empty() && (impatient || self.input.len() >= self.needed) {
            match self.session.execute(&self.input, now, out) {
                Ok(Step::Done(consumed)) => self.consume(consumed),
                Ok(Step::Incomplete(needed, _)) => {
                    assert!(needed > self.input.len(), "{needed} bytes are needed, and there");
                    assert!(needed >= self.needed, "fewer bytes are needed than before");
                    self.needed = needed;
                    break;
                }
                Ok(Step::Upgrade(consumed, granted)) => {
                    assert!(!granted.tls, "there is no certificate");
                    self.session.compressed = true;
                    encode_response(OK, out);
                    self.consume(consumed);
                }
                Ok(Step::Wait(_)) => panic!("nobody else is there to wait for"),
                Err(refusal) => self.refuse(refusal, out),
            }
        }
    }

    fn consume(&mut self, consumed: usize) {
        assert!(consumed >= self.needed, "{consumed} bytes were a command, and {} needed", self.needed);
        self.input.advance(consumed);
        self.needed = 0;
    }

    /// Nothing more comes.
    pub fn end(&mut self, out: &mut BytesMut) {
        let now = self.session.broker.now();
        if !self.over
            && let Some(refusal) = self.session.cut_short(&self.input, now, out)
        {
            self.refuse(refusal, out);
        }
        self.over = true;
    }

    fn refuse(&mut self, refusal: Refusal, out: &mut BytesMut) {
        self.over = true;
        if let Refusal::Error(code, text) = refusal {
            encode_error(&code, &text, out);
        }
    }

    /// Appends messages to `out` until that has `most` bytes, if there may be some. Returns whether it has looked.
    pub fn take(&mut self, out: &mut BytesMut, most: usize) -> bool {
        while poll_once(self.session.client.rung()).is_some() {
            self.session.hungry = true;
        }
        self.over |= self.session.client.is_closed();
        let looks = self.session.hungry && !self.over;
        if looks {
            self.session.take(self.session.broker.now(), out, most);
        }
        looks
    }

    /// Whether it is to be closed: nothing that it receives matters any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether it is between two commands.
    pub fn is_between_commands(&self) -> bool {
        self.input.is_empty() && !self.over
    }
}

/// Answers the body of an IDENTIFY, or says why not.
pub fn identify(body: &[u8]) -> Result<Vec<u8>, String> {
    let options = NsqdOptions::default();
    let offer = Offer { tls: false, compression: true, auth_required: false };
    let granted = Request::parse(body).and_then(|request| request.grant(&Settings::new(&options), &options, offer));
    match granted {
        Ok(granted) => Ok(granted.to_json(&options, offer)),
        Err(Refusal::Error(code, text)) => Err(format!("{code} {}", text.escape_ascii())),
        Err(Refusal::Silent) => panic!("IDENTIFY is refused with a word"),
    }
}

impl fmt::Debug for FuzzedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuzzedConnection").field("over", &self.over).finish_non_exhaustive()
    }
}
