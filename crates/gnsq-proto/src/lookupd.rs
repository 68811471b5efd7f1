//! nsqlookupd's TCP protocol, by which an nsqd registers what it has.
//!
//! Text lines as nsqd's own protocol, after another magic. Answers have a size but no type; errors begin with `E_`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::{ErrorCode, ServerError};
use crate::frame::OK;
use crate::name::{ChannelName, TopicName};

/// What an nsqd sends first of all.
pub const MAGIC_V1: &[u8; 4] = b"  V1";

/// A command to nsqlookupd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupdCommand {
    /// Says who registers; the body is JSON, see [`PeerInfo`].
    Identify(Bytes),
    /// This nsqd has the topic, and the channel if one is named.
    Register(TopicName, Option<ChannelName>),
    /// This nsqd has the channel no more, or the topic with all its channels.
    Unregister(TopicName, Option<ChannelName>),
    /// This nsqd is alive.
    Ping,
}

/// Who an nsqd is, and in the answer who the nsqlookupd is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerInfo {
    /// The address that clients are told.
    pub broadcast_address: String,
    /// The host's name.
    pub hostname: String,
    /// The port of its HTTP API.
    pub http_port: u16,
    /// The port of its TCP protocol.
    pub tcp_port: u16,
    /// Its version.
    pub version: String,
}

/// An answer of nsqlookupd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupdReply {
    /// Done.
    Ok,
    /// Anything else that is no error: IDENTIFY's JSON.
    Data(Bytes),
    /// Refused; nsqlookupd closes the connection.
    Error(ServerError),
}

/// Why bytes are no command or answer of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LookupdError {
    /// No line end within 16 KiB.
    #[error("a command line has more than {MAX_LINE} bytes")]
    LineTooLong,
    /// A word that is no command.
    #[error("invalid command {0}")]
    Unknown(String),
    /// A command without its topic.
    #[error("{0} insufficient number of params")]
    Parameters(&'static str),
    /// A topic name that breaks the rules.
    #[error("{command} topic name '{name}' is not valid")]
    Topic {
        /// The command.
        command: &'static str,
        /// The name given.
        name: String,
    },
    /// A channel name that breaks the rules.
    #[error("{command} channel name '{name}' is not valid")]
    Channel {
        /// The command.
        command: &'static str,
        /// The name given.
        name: String,
    },
    /// A size that is negative or over the limit.
    #[error("a body of {size} bytes is over the limit of {limit} or negative")]
    Size {
        /// The size given.
        size: i32,
        /// The limit in bytes.
        limit: usize,
    },
}

impl LookupdCommand {
    /// Appends the command's bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Identify(body) => {
                out.put_slice(b"IDENTIFY\n");
                put_sized(body, out);
            }
            Self::Register(topic, channel) => put_registration("REGISTER", topic, channel.as_ref(), out),
            Self::Unregister(topic, channel) => put_registration("UNREGISTER", topic, channel.as_ref(), out),
            Self::Ping => out.put_slice(b"PING\n"),
        }
    }

    /// Takes the first command from `input`, or nothing while it is incomplete.
    ///
    /// # Errors
    ///
    /// [`LookupdError`]; the stream can't be read further. A body over `max_body` bytes is one.
    pub fn decode(input: &mut BytesMut, max_body: usize) -> Result<Option<Self>, LookupdError> {
        let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return if input.len() >= MAX_LINE { Err(LookupdError::LineTooLong) } else { Ok(None) };
        };
        let line = String::from_utf8_lossy(&input[..end]).into_owned();
        let mut words = line.trim().split(' ');
        let command = match words.next().unwrap_or_default() {
            "IDENTIFY" => return Ok(take_sized(input, end + 1, max_body)?.map(Self::Identify)),
            "REGISTER" => {
                let (topic, channel) = registration("REGISTER", words)?;
                Self::Register(topic, channel)
            }
            "UNREGISTER" => {
                let (topic, channel) = registration("UNREGISTER", words)?;
                Self::Unregister(topic, channel)
            }
            "PING" => Self::Ping,
            other => return Err(LookupdError::Unknown(other.to_owned())),
        };
        input.advance(end + 1);
        Ok(Some(command))
    }
}

impl LookupdError {
    /// What nsqlookupd answers before it closes the connection.
    pub fn to_reply(&self) -> LookupdReply {
        let (code, text) = match self {
            Self::LineTooLong | Self::Unknown(_) | Self::Parameters(_) => (ErrorCode::Invalid, self.to_string()),
            Self::Topic { .. } => (ErrorCode::BadTopic, self.to_string()),
            Self::Channel { .. } => (ErrorCode::BadChannel, self.to_string()),
            Self::Size { size, .. } if *size < 0 => (ErrorCode::BadBody, format!("IDENTIFY invalid body size {size}")),
            Self::Size { size, limit } => (ErrorCode::BadBody, format!("IDENTIFY body too big {size} > {limit}")),
        };
        LookupdReply::Error(ServerError::new(code, text))
    }
}

impl LookupdReply {
    /// Appends the answer's bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Ok => put_sized(OK, out),
            Self::Data(data) => put_sized(data, out),
            Self::Error(error) => put_sized(&error.to_wire(), out),
        }
    }

    /// Takes the first answer from `input`, or nothing while it is incomplete.
    ///
    /// # Errors
    ///
    /// When its size is negative or over `max_size` bytes.
    pub fn decode(input: &mut BytesMut, max_size: usize) -> Result<Option<Self>, LookupdError> {
        let Some(data) = take_sized(input, 0, max_size)? else { return Ok(None) };
        Ok(Some(match &data[..] {
            OK => Self::Ok,
            error if error.starts_with(b"E_") => Self::Error(ServerError::parse(error)),
            _ => Self::Data(data),
        }))
    }
}

fn put_registration(word: &str, topic: &TopicName, channel: Option<&ChannelName>, out: &mut BytesMut) {
    out.put_slice(word.as_bytes());
    out.put_u8(b' ');
    out.put_slice(topic.as_str().as_bytes());
    if let Some(channel) = channel {
        out.put_u8(b' ');
        out.put_slice(channel.as_str().as_bytes());
    }
    out.put_u8(b'\n');
}

fn registration<'a>(
    command: &'static str,
    mut words: impl Iterator<Item = &'a str>,
) -> Result<(TopicName, Option<ChannelName>), LookupdError> {
    let name = words.next().ok_or(LookupdError::Parameters(command))?;
    let topic = TopicName::new(name).map_err(|_| LookupdError::Topic { command, name: name.to_owned() })?;
    // Two spaces in a row name no channel.
    let channel = words
        .next()
        .filter(|name| !name.is_empty())
        .map(|name| ChannelName::new(name).map_err(|_| LookupdError::Channel { command, name: name.to_owned() }));
    Ok((topic, channel.transpose()?))
}

fn put_sized(data: &[u8], out: &mut BytesMut) {
    out.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
    out.put_slice(data);
}

fn take_sized(input: &mut BytesMut, at: usize, limit: usize) -> Result<Option<Bytes>, LookupdError> {
    let Some(size) = input[at..].first_chunk() else { return Ok(None) };
    let size = i32::from_be_bytes(*size);
    let len = usize::try_from(size).ok().filter(|len| *len <= limit).ok_or(LookupdError::Size { size, limit })?;
    if input.len() < at + 4 + len {
        return Ok(None);
    }
    let mut data = input.split_to(at + 4 + len).freeze();
    data.advance(at + 4);
    Ok(Some(data))
}

/// The line buffer of nsqlookupd.
const MAX_LINE: usize = 16 * 1024;
