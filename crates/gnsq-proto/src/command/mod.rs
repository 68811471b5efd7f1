//! What a client sends to nsqd: a line each, some with a body behind it.

mod batch;
pub mod decode;

use std::io::Write;

use bytes::Bytes;

pub use self::batch::{Batch, Packer};
use crate::limits::mpub_body_size;
use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};
use crate::outgoing::Outgoing;
use crate::secret::Secret;

/// What a client sends first of all: the protocol's version.
pub const MAGIC_V2: &[u8; 4] = b"  V2";

/// A command to nsqd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Names the client and asks for features; the body is JSON, see [`IdentifyRequest`](crate::IdentifyRequest).
    Identify(Bytes),
    /// Gives the secret that an nsqd with authorization asks for.
    Auth(Secret),
    /// Takes messages from a channel.
    Sub {
        /// The channel's topic.
        topic: TopicName,
        /// The channel.
        channel: ChannelName,
    },
    /// How many messages nsqd may have in flight to this connection.
    Rdy(u32),
    /// The message is done.
    Fin(MessageId),
    /// The message goes back to its channel.
    Req {
        /// The message.
        id: MessageId,
        /// After how many milliseconds; nsqd clamps it to `--max-req-timeout`.
        delay_ms: u64,
    },
    /// The message needs more time.
    Touch(MessageId),
    /// No more messages, please; nsqd answers `CLOSE_WAIT`.
    Cls,
    /// Nothing; answers a heartbeat.
    Nop,
    /// Publishes a message.
    Pub {
        /// To which topic.
        topic: TopicName,
        /// The message's body.
        body: Bytes,
    },
    /// Publishes a message that nsqd holds back for a while.
    Dpub {
        /// To which topic.
        topic: TopicName,
        /// For how many milliseconds.
        delay_ms: u64,
        /// The message's body.
        body: Bytes,
    },
    /// Publishes several messages.
    Mpub {
        /// To which topic.
        topic: TopicName,
        /// The messages' bodies; shared, so that a command kept for another attempt costs no copy of them.
        bodies: Batch,
    },
}

impl Command {
    /// Appends the command's bytes.
    pub fn encode(&self, out: &mut Outgoing) {
        match self {
            Self::Identify(body) => {
                out.put(b"IDENTIFY\n");
                put_sized(body, out);
            }
            Self::Auth(secret) => {
                out.put(b"AUTH\n");
                put_sized(secret.expose(), out);
            }
            Self::Sub { topic, channel } => put_line(out, format_args!("SUB {topic} {channel}\n")),
            Self::Rdy(count) => put_line(out, format_args!("RDY {count}\n")),
            Self::Fin(id) => put_with_id(b"FIN ", id, out),
            Self::Req { id, delay_ms } => {
                out.put(b"REQ ");
                out.put(&id.0);
                put_line(out, format_args!(" {delay_ms}\n"));
            }
            Self::Touch(id) => put_with_id(b"TOUCH ", id, out),
            Self::Cls => out.put(b"CLS\n"),
            Self::Nop => out.put(b"NOP\n"),
            Self::Pub { topic, body } => {
                out.put(b"PUB ");
                out.put(topic.as_str().as_bytes());
                out.put(b"\n");
                put_sized(body, out);
            }
            Self::Dpub { topic, delay_ms, body } => {
                put_line(out, format_args!("DPUB {topic} {delay_ms}\n"));
                put_sized(body, out);
            }
            Self::Mpub { topic, bodies } => {
                put_mpub_line(topic, out);
                bodies.encode(out);
            }
        }
    }
}

/// Appends an MPUB of messages that are not in one list: as [`Command::Mpub`], and nothing has to be copied for it.
pub fn encode_mpub<'a>(
    topic: &TopicName,
    bodies: impl ExactSizeIterator<Item = &'a Bytes> + Clone,
    out: &mut Outgoing,
) {
    put_mpub_line(topic, out);
    put_bodies(bodies, out);
}

fn put_mpub_line(topic: &TopicName, out: &mut Outgoing) {
    out.put(b"MPUB ");
    out.put(topic.as_str().as_bytes());
    out.put(b"\n");
}

fn put_bodies<'a>(bodies: impl ExactSizeIterator<Item = &'a Bytes> + Clone, out: &mut Outgoing) {
    let count = bodies.len();
    let size = mpub_body_size(count, bodies.clone().map(Bytes::len).sum());
    out.reserve(size.min(RESERVE_AT_MOST));
    out.put(&wire_size(size));
    out.put(&wire_size(count));
    for body in bodies {
        put_sized(body, out);
    }
}

fn put_with_id(word: &[u8], id: &MessageId, out: &mut Outgoing) {
    out.put(word);
    out.put(&id.0);
    out.put(b"\n");
}

/// A line of known, bounded parts.
fn put_line(out: &mut Outgoing, line: std::fmt::Arguments<'_>) {
    let mut buffer = [0_u8; MAX_LINE];
    let mut rest = &mut buffer[..];
    // A line is a word, two names and a number at the most, which MAX_LINE has room for.
    rest.write_fmt(line).expect("a command line fits its buffer");
    let len = MAX_LINE - rest.len();
    out.put(&buffer[..len]);
}

fn put_sized(body: &Bytes, out: &mut Outgoing) {
    out.put(&wire_size(body.len()));
    out.put_body(body);
}

/// A size field. nsqd reads it as signed: a body over 2 GiB, which the limits exclude, would be refused there.
fn wire_size(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes()
}

/// `SUB`, two names of 64 bytes, and spaces: 132; a number has 20 digits at the most.
const MAX_LINE: usize = 192;

/// Large bodies are not copied, so a batch with some needs less room than its size.
const RESERVE_AT_MOST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    fn wire(command: &Command) -> String {
        let mut out = Outgoing::new();
        command.encode(&mut out);
        let bytes = out.copy_to_bytes(out.remaining());
        bytes.escape_ascii().to_string()
    }

    #[test]
    fn each_command_has_its_wire_form() {
        let topic = TopicName::new("t").unwrap();
        let channel = ChannelName::new("c").unwrap();
        let id = MessageId(*b"0123456789abcdef");
        let body = Bytes::from_static(b"xy");
        for (command, expected) in [
            (Command::Identify(body.clone()), r"IDENTIFY\n\x00\x00\x00\x02xy"),
            (Command::Auth(body.clone().into()), r"AUTH\n\x00\x00\x00\x02xy"),
            (Command::Sub { topic: topic.clone(), channel }, r"SUB t c\n"),
            (Command::Rdy(2500), r"RDY 2500\n"),
            (Command::Fin(id), r"FIN 0123456789abcdef\n"),
            (Command::Req { id, delay_ms: 90_000 }, r"REQ 0123456789abcdef 90000\n"),
            (Command::Touch(id), r"TOUCH 0123456789abcdef\n"),
            (Command::Cls, r"CLS\n"),
            (Command::Nop, r"NOP\n"),
            (Command::Pub { topic: topic.clone(), body: body.clone() }, r"PUB t\n\x00\x00\x00\x02xy"),
            (Command::Dpub { topic: topic.clone(), delay_ms: 7, body: body.clone() }, r"DPUB t 7\n\x00\x00\x00\x02xy"),
            (
                Command::Mpub { topic, bodies: [body, Bytes::from_static(b"z")].into() },
                r"MPUB t\n\x00\x00\x00\x0f\x00\x00\x00\x02\x00\x00\x00\x02xy\x00\x00\x00\x01z",
            ),
        ] {
            assert_eq!(wire(&command), expected);
        }
    }

    #[test]
    fn the_longest_line_fits() {
        let topic = TopicName::new("t".repeat(64)).unwrap();
        let channel = ChannelName::new("c".repeat(64)).unwrap();
        assert_eq!(wire(&Command::Sub { topic: topic.clone(), channel }).len(), "SUB \\n".len() + 129);
        wire(&Command::Dpub { topic, delay_ms: u64::MAX, body: Bytes::from_static(b"x") });
    }
}
