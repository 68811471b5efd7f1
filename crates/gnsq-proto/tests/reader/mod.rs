//! Reads what a client sends, one whole command after the other, as a server with nothing to check would.

use bytes::{Buf, Bytes, BytesMut};
use gnsq_proto::command::decode::{Body, Line, MpubScan, number, sized_body, sized_message};
use gnsq_proto::{ChannelName, Command, MessageId, TopicName};

/// The limits of a server.
pub(crate) struct CommandReader {
    pub(crate) max_msg_size: usize,
    pub(crate) max_body_size: usize,
}

impl Default for CommandReader {
    fn default() -> Self {
        Self { max_msg_size: 1024 * 1024, max_body_size: 5 * 1024 * 1024 }
    }
}

impl CommandReader {
    /// Takes the first command from `input`, or nothing while it is incomplete.
    pub(crate) fn read(&self, input: &mut BytesMut) -> Result<Option<Command>, String> {
        let Some((line, end)) = Line::parse(input).map_err(text)? else { return Ok(None) };
        let behind = &input[end..];
        let mut params = line.params();
        let mut param = || params.next().ok_or("insufficient number of parameters");
        let (command, consumed) = match line.word {
            b"IDENTIFY" | b"AUTH" => match sized_body(behind, self.max_body_size).map_err(text)? {
                Body::Incomplete { .. } => return Ok(None),
                Body::Complete { content, consumed } => {
                    let content = Bytes::copy_from_slice(content);
                    let identify = line.word == b"IDENTIFY";
                    (if identify { Command::Identify(content) } else { Command::Auth(content.into()) }, consumed)
                }
            },
            b"SUB" => (Command::Sub { topic: topic(param()?)?, channel: channel(param()?)? }, 0),
            b"RDY" => (Command::Rdy(number_of(param().unwrap_or(b"1"))?), 0),
            b"FIN" => (Command::Fin(id(param()?)?), 0),
            b"REQ" => (Command::Req { id: id(param()?)?, delay_ms: number_of(param()?)? }, 0),
            b"TOUCH" => (Command::Touch(id(param()?)?), 0),
            b"CLS" => (Command::Cls, 0),
            b"NOP" => (Command::Nop, 0),
            b"PUB" => {
                let topic = topic(param()?)?;
                let Some((body, consumed)) = self.message(behind)? else { return Ok(None) };
                (Command::Pub { topic, body }, consumed)
            }
            b"DPUB" => {
                let (topic, delay_ms) = (topic(param()?)?, number_of(param()?)?);
                let Some((body, consumed)) = self.message(behind)? else { return Ok(None) };
                (Command::Dpub { topic, delay_ms, body }, consumed)
            }
            b"MPUB" => {
                let topic = topic(param()?)?;
                match MpubScan::default().advance(behind, self.max_msg_size, self.max_body_size).map_err(text)? {
                    Body::Incomplete { .. } => return Ok(None),
                    Body::Complete { content, consumed } => {
                        (Command::Mpub { topic, bodies: content.map(Bytes::copy_from_slice).collect() }, consumed)
                    }
                }
            }
            other => return Err(format!("invalid command {}", other.escape_ascii())),
        };
        input.advance(end + consumed);
        Ok(Some(command))
    }

    fn message(&self, behind: &[u8]) -> Result<Option<(Bytes, usize)>, String> {
        Ok(match sized_message(behind, self.max_msg_size).map_err(text)? {
            Body::Incomplete { .. } => None,
            Body::Complete { content, consumed } => Some((Bytes::copy_from_slice(content), consumed)),
        })
    }
}

fn topic(name: &[u8]) -> Result<TopicName, String> {
    TopicName::new(String::from_utf8_lossy(name)).map_err(text)
}

fn channel(name: &[u8]) -> Result<ChannelName, String> {
    ChannelName::new(String::from_utf8_lossy(name)).map_err(text)
}

fn id(param: &[u8]) -> Result<MessageId, String> {
    param.try_into().map_err(text)
}

fn number_of<N: TryFrom<u64>>(digits: &[u8]) -> Result<N, String> {
    number(digits).and_then(|number| number.try_into().ok()).ok_or_else(|| "not a number".to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
