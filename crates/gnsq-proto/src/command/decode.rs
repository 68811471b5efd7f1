//! The server's side: commands out of bytes.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::Command;
use crate::error::{ErrorCode, ServerError};
use crate::limits::{DEFAULT_MAX_BODY_SIZE, DEFAULT_MAX_MSG_SIZE, mpub_body_size};
use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};

/// Cuts a stream of bytes into commands, as they arrive. Bodies are not copied.
#[derive(Debug, Clone, Copy)]
pub struct CommandDecoder {
    /// The largest message body in bytes.
    pub max_msg_size: usize,
    /// The largest body of IDENTIFY, AUTH and MPUB in bytes.
    pub max_body_size: usize,
}

/// Why a command was refused. All but [`BadMessageId`](Self::BadMessageId) and the like leave the stream at a
/// place that can't be read further, and nsqd closes the connection after each of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No line end within the 16 KiB that nsqd reads ahead.
    #[error("a command line has more than {MAX_LINE} bytes")]
    LineTooLong,
    /// A word that is no command.
    #[error("invalid command {0:?}")]
    Unknown(String),
    /// Fewer parameters than the command needs.
    #[error("{0} insufficient number of parameters")]
    Parameters(&'static str),
    /// A topic name that breaks the rules.
    #[error("{command} topic name {name:?} is not valid")]
    Topic {
        /// The command.
        command: &'static str,
        /// The name.
        name: String,
    },
    /// A channel name that breaks the rules.
    #[error("{command} channel name {name:?} is not valid")]
    Channel {
        /// The command.
        command: &'static str,
        /// The name.
        name: String,
    },
    /// A number that isn't made of digits.
    #[error("{command} could not parse {text:?}")]
    Number {
        /// The command.
        command: &'static str,
        /// What stood in the number's place.
        text: String,
    },
    /// A message id that has not 16 bytes.
    #[error("{0} invalid message ID")]
    BadMessageId(&'static str),
    /// A body of IDENTIFY, AUTH or MPUB that is empty, negative, too large, or not what its inner sizes say.
    #[error("{command} invalid body size {size}")]
    Body {
        /// The command.
        command: &'static str,
        /// The size given.
        size: i64,
    },
    /// A message that is empty, negative or too large.
    #[error("{command} invalid message body size {size}")]
    Message {
        /// The command.
        command: &'static str,
        /// The size given.
        size: i64,
    },
}

impl CommandError {
    /// The error frame that answers such a command.
    pub fn to_server_error(&self) -> ServerError {
        let code = match self {
            Self::Topic { .. } => ErrorCode::BadTopic,
            Self::Channel { .. } => ErrorCode::BadChannel,
            Self::Body { .. } => ErrorCode::BadBody,
            Self::Message { .. } => ErrorCode::BadMessage,
            _ => ErrorCode::Invalid,
        };
        ServerError::new(code, self.to_string())
    }
}

impl CommandDecoder {
    /// Takes the first command from `input`, or nothing while it is incomplete.
    ///
    /// # Errors
    ///
    /// [`CommandError`] as soon as a line or a size can't be right; sizes are judged before the body arrives.
    pub fn decode(&self, input: &mut BytesMut) -> Result<Option<Command>, CommandError> {
        let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return if input.len() >= MAX_LINE { Err(CommandError::LineTooLong) } else { Ok(None) };
        };
        let line = &input[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut words = line.split(|byte| *byte == b' ');
        let word = words.next().unwrap_or_default();
        let after = end + 1;
        let command = match word {
            b"IDENTIFY" => return self.with_body("IDENTIFY", input, after, Command::Identify),
            b"AUTH" => return self.with_body("AUTH", input, after, |secret| Command::Auth(secret.into())),
            b"SUB" => {
                let topic = topic("SUB", words.next())?;
                Command::Sub { topic, channel: channel("SUB", words.next())? }
            }
            // Without a parameter RDY means 1, with an empty one 0.
            b"RDY" => Command::Rdy(match words.next() {
                None => 1,
                Some(digits) => u32::try_from(number("RDY", digits)?).unwrap_or(u32::MAX),
            }),
            b"FIN" => Command::Fin(id("FIN", words.next())?),
            b"REQ" => {
                let id = id("REQ", words.next())?;
                let delay = words.next().ok_or(CommandError::Parameters("REQ"))?;
                Command::Req { id, delay_ms: number("REQ", delay)? }
            }
            b"TOUCH" => Command::Touch(id("TOUCH", words.next())?),
            b"CLS" => Command::Cls,
            b"NOP" => Command::Nop,
            b"PUB" => {
                let topic = topic("PUB", words.next())?;
                return self.with_message("PUB", input, after, |body| Command::Pub { topic, body });
            }
            b"DPUB" => {
                let topic = topic("DPUB", words.next())?;
                let delay = words.next().ok_or(CommandError::Parameters("DPUB"))?;
                let delay_ms = number("DPUB", delay)?;
                return self.with_message("DPUB", input, after, |body| Command::Dpub { topic, delay_ms, body });
            }
            b"MPUB" => {
                let topic = topic("MPUB", words.next())?;
                let Some(mut body) = self.body("MPUB", input, after)? else { return Ok(None) };
                let bodies = self.messages(&mut body)?;
                return Ok(Some(Command::Mpub { topic, bodies: bodies.into() }));
            }
            other => return Err(CommandError::Unknown(lossy(other))),
        };
        input.advance(after);
        Ok(Some(command))
    }

    fn with_body(
        &self,
        name: &'static str,
        input: &mut BytesMut,
        after: usize,
        make: impl FnOnce(Bytes) -> Command,
    ) -> Result<Option<Command>, CommandError> {
        Ok(self.body(name, input, after)?.map(make))
    }

    fn body(&self, command: &'static str, input: &mut BytesMut, after: usize) -> Result<Option<Bytes>, CommandError> {
        take_sized(input, after, self.max_body_size, |size| CommandError::Body { command, size })
    }

    fn with_message(
        &self,
        command: &'static str,
        input: &mut BytesMut,
        after: usize,
        make: impl FnOnce(Bytes) -> Command,
    ) -> Result<Option<Command>, CommandError> {
        let body = take_sized(input, after, self.max_msg_size, |size| CommandError::Message { command, size })?;
        Ok(body.map(make))
    }

    fn messages(&self, body: &mut Bytes) -> Result<Vec<Bytes>, CommandError> {
        let bad_body = |size: i64| CommandError::Body { command: "MPUB", size };
        let total = i64::try_from(body.len()).unwrap_or(i64::MAX);
        let count = i64::from(body.try_get_i32().map_err(|_| bad_body(total))?);
        // Each message takes at least its size and one byte, which bounds the allocation by what has arrived.
        let most = (self.max_body_size.min(body.len() + 4) - 4) / mpub_body_size(1, 1).saturating_sub(4);
        let count =
            usize::try_from(count).ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| bad_body(count))?;
        let mut bodies = Vec::with_capacity(count);
        for _ in 0..count {
            let size = i64::from(body.try_get_i32().map_err(|_| bad_body(total))?);
            let len = usize::try_from(size)
                .ok()
                .filter(|len| (1..=self.max_msg_size).contains(len))
                .ok_or(CommandError::Message { command: "MPUB", size })?;
            if len > body.len() {
                return Err(bad_body(total));
            }
            bodies.push(body.split_to(len));
        }
        Ok(bodies)
    }
}

impl Default for CommandDecoder {
    /// With nsqd's default limits.
    fn default() -> Self {
        Self { max_msg_size: DEFAULT_MAX_MSG_SIZE, max_body_size: DEFAULT_MAX_BODY_SIZE }
    }
}

/// Takes the line of `after` bytes and the sized body behind it, once both are there.
fn take_sized(
    input: &mut BytesMut,
    after: usize,
    limit: usize,
    refused: impl Fn(i64) -> CommandError,
) -> Result<Option<Bytes>, CommandError> {
    let Some(size) = input[after..].first_chunk() else { return Ok(None) };
    let size = i32::from_be_bytes(*size);
    let Some(len) = usize::try_from(size).ok().filter(|len| (1..=limit).contains(len)) else {
        return Err(refused(size.into()));
    };
    if input.len() < after + 4 + len {
        return Ok(None);
    }
    let mut body = input.split_to(after + 4 + len).freeze();
    body.advance(after + 4);
    Ok(Some(body))
}

fn topic(command: &'static str, word: Option<&[u8]>) -> Result<TopicName, CommandError> {
    let name = lossy(word.ok_or(CommandError::Parameters(command))?);
    TopicName::new(&name).map_err(|_| CommandError::Topic { command, name })
}

fn channel(command: &'static str, word: Option<&[u8]>) -> Result<ChannelName, CommandError> {
    let name = lossy(word.ok_or(CommandError::Parameters(command))?);
    ChannelName::new(&name).map_err(|_| CommandError::Channel { command, name })
}

fn id(command: &'static str, word: Option<&[u8]>) -> Result<MessageId, CommandError> {
    let word = word.ok_or(CommandError::Parameters(command))?;
    word.try_into().map_err(|_| CommandError::BadMessageId(command))
}

/// nsqd takes digits only, and none at all as 0. A number beyond 64 bits wraps there; here it is the largest.
fn number(command: &'static str, digits: &[u8]) -> Result<u64, CommandError> {
    digits.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
        _ => Err(CommandError::Number { command, text: lossy(digits) }),
    })
}

fn lossy(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// nsqd reads a line through a buffer of this size and closes the connection when it doesn't fit.
const MAX_LINE: usize = 16 * 1024;
