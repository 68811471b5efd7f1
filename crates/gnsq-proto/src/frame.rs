//! What a server sends: frames of a size, a type and data.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::error::{ErrorCode, ServerError};
use crate::message::{MessageFrame, MessageId};

/// The answer of most commands that succeed.
pub const OK: &[u8] = b"OK";

/// What nsqd sends at every heartbeat interval. The client answers with NOP.
pub const HEARTBEAT: &[u8] = b"_heartbeat_";

/// nsqd's answer to CLS.
pub const CLOSE_WAIT: &[u8] = b"CLOSE_WAIT";

/// One frame from nsqd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Type 0: an answer, or a heartbeat.
    Response(Bytes),
    /// Type 1: a command was refused.
    Error(ServerError),
    /// Type 2: a message of the subscribed channel.
    Message(MessageFrame),
}

impl Frame {
    /// Appends the frame's bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Response(data) => encode_data(RESPONSE, data, out),
            Self::Error(error) => encode_data(ERROR, &error.to_wire(), out),
            Self::Message(message) => {
                encode_message(message.timestamp, message.attempts, message.id, &message.body, out);
            }
        }
    }
}

/// Appends the bytes of a [`Frame::Message`] whose body is borrowed.
pub fn encode_message(timestamp: i64, attempts: u16, id: MessageId, body: &[u8], out: &mut BytesMut) {
    let mut header = [0; HEADER + MESSAGE_HEADER];
    {
        let mut rest = &mut header[..];
        rest.put_u32(wire_size(MESSAGE_HEADER + body.len()));
        rest.put_i32(MESSAGE);
        rest.put_i64(timestamp);
        rest.put_u16(attempts);
        rest.put_slice(&id.0);
    }
    out.reserve(header.len() + body.len());
    out.put_slice(&header);
    out.put_slice(body);
}

/// Appends the bytes of a response ([`Frame::Response`]).
pub fn encode_response(data: &[u8], out: &mut BytesMut) {
    encode_data(RESPONSE, data, out);
}

/// Appends the bytes of an error ([`Frame::Error`]) whose text may be any bytes, as nsqd quotes what it doesn't know.
pub fn encode_error(code: &ErrorCode, text: &[u8], out: &mut BytesMut) {
    let code = code.as_str().as_bytes();
    let space: &[u8] = if text.is_empty() { b"" } else { b" " };
    out.reserve(HEADER + code.len() + space.len() + text.len());
    out.put_u32(wire_size(code.len() + space.len() + text.len()));
    out.put_i32(ERROR);
    for piece in [code, space, text] {
        out.put_slice(piece);
    }
}

/// Why bytes are no frame. The stream can't be read any further after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The size is larger than the limit.
    #[error(
        "a frame of {size} bytes is over the limit of {limit}: raise max_frame_size if nsqd's --max-msg-size is larger, else this is no nsqd"
    )]
    TooLarge {
        /// The size that the frame's first bytes gave.
        size: usize,
        /// The limit that it exceeds.
        limit: usize,
    },
    /// The size has no room for the frame's type, or is negative.
    #[error("a frame size of {0} can't be: this is no nsqd, or bytes were lost on the way")]
    BadSize(i32),
    /// A frame type other than 0, 1 and 2.
    #[error("frame type {0} is unknown: this is no nsqd, or bytes were lost on the way")]
    UnknownType(i32),
    /// A message frame too short for its own header.
    #[error("a message frame of {0} bytes is too short: it has 26 before the body")]
    ShortMessage(usize),
}

/// Cuts a stream of bytes into frames, as they arrive.
#[derive(Debug, Clone, Copy)]
pub struct FrameDecoder {
    max_size: usize,
}

impl FrameDecoder {
    /// A decoder that refuses frames of more than `max_size` bytes, type included.
    pub fn new(max_size: usize) -> Self {
        Self { max_size }
    }

    /// Takes the first frame from `input`, or nothing while it is incomplete. Bodies are not copied.
    ///
    /// # Errors
    ///
    /// [`FrameError`] for bytes that can't be a frame, as soon as that shows.
    pub fn decode(self, input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some((size, Some(kind))) = self.head(input)? else { return Ok(None) };
        if input.len() < SIZE + size {
            return Ok(None);
        }
        if kind == RESPONSE {
            return Ok(Some(Frame::Response(take_response(input, size))));
        }
        input.advance(HEADER);
        let mut data = input.split_to(size - TYPE);
        if kind == ERROR {
            return Ok(Some(Frame::Error(ServerError::parse(&data.freeze()))));
        }
        // The whole header at once: to advance the buffer field by field makes a message cost a third more to decode.
        let header: &[u8; MESSAGE_HEADER] = data.first_chunk().ok_or(FrameError::ShortMessage(data.len()))?;
        let [t0, t1, t2, t3, t4, t5, t6, t7, a0, a1, id @ ..] = *header;
        let timestamp = i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let attempts = u16::from_be_bytes([a0, a1]);
        data.advance(MESSAGE_HEADER);
        Ok(Some(Frame::Message(MessageFrame { timestamp, attempts, id: MessageId(id), body: data.freeze() })))
    }

    /// How many bytes `input` lacks until its first frame is complete: 0 when it is or can't be one, at least 1 while
    /// its size is unknown.
    pub fn missing(self, input: &[u8]) -> usize {
        match self.head(input) {
            Ok(Some((size, _))) => (SIZE + size).saturating_sub(input.len()),
            Ok(None) => SIZE.saturating_sub(input.len()).max(1),
            Err(_) => 0,
        }
    }

    /// The size of the first frame without its size field, and its type once that has arrived.
    fn head(self, input: &[u8]) -> Result<Option<(usize, Option<i32>)>, FrameError> {
        let Some((size, rest)) = input.split_first_chunk() else { return Ok(None) };
        let size = i32::from_be_bytes(*size);
        let bytes = usize::try_from(size).ok().filter(|size| *size >= TYPE).ok_or(FrameError::BadSize(size))?;
        if bytes > self.max_size {
            return Err(FrameError::TooLarge { size: bytes, limit: self.max_size });
        }
        let kind = rest.first_chunk().copied().map(i32::from_be_bytes);
        match kind {
            Some(MESSAGE) if bytes < TYPE + MESSAGE_HEADER => Err(FrameError::ShortMessage(bytes - TYPE)),
            None | Some(RESPONSE | ERROR | MESSAGE) => Ok(Some((bytes, kind))),
            Some(unknown) => Err(FrameError::UnknownType(unknown)),
        }
    }
}

/// The two answers that come by the thousand cost no reference to the buffer they were read into.
fn take_response(input: &mut BytesMut, size: usize) -> Bytes {
    let known = match &input[HEADER..SIZE + size] {
        OK => OK,
        HEARTBEAT => HEARTBEAT,
        _ => {
            let mut data = input.split_to(SIZE + size).freeze();
            data.advance(HEADER);
            return data;
        }
    };
    input.advance(SIZE + size);
    Bytes::from_static(known)
}

fn encode_data(kind: i32, data: &[u8], out: &mut BytesMut) {
    out.reserve(HEADER + data.len());
    out.put_u32(wire_size(data.len()));
    out.put_i32(kind);
    out.put_slice(data);
}

/// A frame's size field, which counts the type too. Who encodes more than 2 GiB would write a frame that no
/// one reads: the size is cut there, so that the peer refuses it.
fn wire_size(data: usize) -> u32 {
    u32::try_from(data + TYPE).unwrap_or(u32::MAX)
}

const RESPONSE: i32 = 0;
const ERROR: i32 = 1;
const MESSAGE: i32 = 2;

const SIZE: usize = 4;
const TYPE: usize = 4;
const HEADER: usize = SIZE + TYPE;
/// Timestamp, attempts and id.
const MESSAGE_HEADER: usize = 8 + 2 + MessageId::LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
        FrameDecoder::new(1000).decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn a_size_that_cannot_be_is_refused_at_its_fourth_byte() {
        assert_eq!(decode(&[0, 0, 0]), Ok(None));
        assert_eq!(decode(&[0, 0, 0, 3]), Err(FrameError::BadSize(3)));
        assert_eq!(decode(&[0xff; 4]), Err(FrameError::BadSize(-1)));
        assert_eq!(decode(&1001_i32.to_be_bytes()), Err(FrameError::TooLarge { size: 1001, limit: 1000 }));
        assert_eq!(decode(&1000_i32.to_be_bytes()), Ok(None));
    }

    #[test]
    fn an_unknown_type_is_refused_before_its_data() {
        assert_eq!(decode(&[0, 0, 0, 100, 0, 0, 0, 3]), Err(FrameError::UnknownType(3)));
    }

    #[test]
    fn a_message_without_room_for_its_header_is_refused_before_it_arrives() {
        assert_eq!(decode(&[0, 0, 0, 29, 0, 0, 0, 2]), Err(FrameError::ShortMessage(25)));
        assert_eq!(decode(&[0, 0, 0, 30, 0, 0, 0, 2]), Ok(None));
    }

    #[test]
    fn nothing_is_missing_where_no_frame_can_be() {
        let decoder = FrameDecoder::new(1000);
        for bad in [&[0, 0, 0, 3][..], &[0, 0, 100, 0], &[0, 0, 0, 100, 0, 0, 0, 3], &[0, 0, 0, 29, 0, 0, 0, 2]] {
            assert_eq!(decoder.missing(bad), 0, "{bad:?}");
        }
    }

    #[test]
    fn says_how_many_bytes_are_missing() {
        let decoder = FrameDecoder::new(1000);
        assert_eq!(decoder.missing(&[]), 4);
        assert_eq!(decoder.missing(&[0, 0, 0, 10]), 10);
        assert_eq!(decoder.missing(&[0, 0, 0, 6, 0, 0, 0, 0, b'O']), 1);
        assert_eq!(decoder.missing(&[0, 0, 0, 6, 0, 0, 0, 0, b'O', b'K', 7]), 0);
    }
}
