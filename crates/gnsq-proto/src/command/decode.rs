//! The server's side: commands out of bytes, in stages, so that the server decides what is looked at next.
//!
//! nsqd judges a command piece by piece: whether it may be given now before its parameters, those before the size of a
//! body, and that before the body arrives. Who wants to give the same answers takes the same stages: [`Line::parse`],
//! [`Line::params`] with [`number`], then [`sized_body`] or [`sized_message`], or an [`MpubScan`] where the body has a
//! form of its own. Nothing is copied.

use thiserror::Error;

use crate::error::ErrorCode;

/// The line that a command begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The command's name: all up to the first space.
    pub word: &'a [u8],
    params: Params<'a>,
}

/// What follows a command's name, split at each single space: two in a row have an empty parameter between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params<'a>(Option<&'a [u8]>);

/// No line end within the 16 KiB that nsqd reads ahead. It closes the connection without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a command line has more than {MAX_LINE} bytes")]
pub struct LineTooLong;

impl<'a> Line<'a> {
    /// Reads the line at the beginning of `input`; nothing while it is incomplete. Also says how many bytes it takes,
    /// its end included. One `\r` before the end is taken off.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`] as soon as that is certain.
    pub fn parse(input: &'a [u8]) -> Result<Option<(Self, usize)>, LineTooLong> {
        let Some(end) = line_end(&input[..input.len().min(MAX_LINE)]) else {
            return if input.len() >= MAX_LINE { Err(LineTooLong) } else { Ok(None) };
        };
        let text = &input[..end];
        let mut words = Params(Some(text.strip_suffix(b"\r").unwrap_or(text)));
        let word = words.next().unwrap_or_default();
        Ok(Some((Self { word, params: words }, end + 1)))
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params.clone()
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let space = text.iter().position(|byte| *byte == b' ');
        self.0 = space.map(|space| &text[space + 1..]);
        Some(&text[..space.unwrap_or(text.len())])
    }
}

/// A number as nsqd reads it: digits only, none at all is 0, and beyond 64 bits it wraps.
pub fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
    })
}

/// What follows a command line, as far as it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<T> {
    /// It takes at least `needed` bytes, its size included, of which not all are there.
    Incomplete {
        /// A count of bytes from the end of the line on.
        needed: usize,
        /// What a server that is told that nothing more comes says it couldn't read.
        missing: Missing,
    },
    /// All of it is there.
    Complete {
        /// What it holds.
        content: T,
        /// How many bytes it takes, its size included.
        consumed: usize,
    },
}

/// What of a body has not arrived. The texts are nsqd's, which writes the command before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Missing {
    /// The size of IDENTIFY's, AUTH's or MPUB's body.
    #[error("failed to read body size")]
    BodySize,
    /// The body of IDENTIFY or AUTH.
    #[error("failed to read body")]
    Body,
    /// The size of PUB's or DPUB's body.
    #[error("failed to read message body size")]
    MessageSize,
    /// A message, be it in an MPUB.
    #[error("failed to read message body")]
    Message,
    /// The number of messages in an MPUB.
    #[error("failed to read message count")]
    Count,
    /// The size of a message in an MPUB.
    #[error("failed to read message({index}) body size")]
    InnerSize {
        /// Which one; the first is 0.
        index: usize,
    },
}

/// Why a body is refused. The texts are nsqd's, which writes the command before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// An empty or negative one.
    #[error("invalid body size {0}")]
    Size(i32),
    /// A large one.
    #[error("body too big {size} > {limit}")]
    TooBig {
        /// The size given; of an MPUB that is longer than it says, its true one so far.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// An empty or negative message.
    #[error("invalid message body size {0}")]
    MessageSize(i32),
    /// A large message, be it in an MPUB.
    #[error("message too big {size} > {limit}")]
    MessageTooBig {
        /// The size given.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// An MPUB of no messages, or of more than fit in a body.
    #[error("invalid message count {0}")]
    Count(i32),
    /// An empty or negative message of an MPUB.
    #[error("invalid message({index}) body size {size}")]
    InnerSize {
        /// Which one; the first is 0.
        index: usize,
        /// The size given.
        size: i32,
    },
}

impl BodyError {
    /// The code of the error that answers it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Size(_) | Self::TooBig { .. } | Self::Count(_) => ErrorCode::BadBody,
            Self::MessageSize(_) | Self::MessageTooBig { .. } | Self::InnerSize { .. } => ErrorCode::BadMessage,
        }
    }
}

impl Missing {
    /// The code of the error that tells of it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BodySize | Self::Body | Self::Count => ErrorCode::BadBody,
            Self::MessageSize | Self::Message | Self::InnerSize { .. } => ErrorCode::BadMessage,
        }
    }
}

/// The body of IDENTIFY or AUTH: `input` is what follows the line.
///
/// # Errors
///
/// [`BodyError`] as soon as the size is there.
pub fn sized_body(input: &[u8], limit: usize) -> Result<Body<&[u8]>, BodyError> {
    let too_big = |size| BodyError::TooBig { size, limit };
    sized(input, limit, BodyError::Size, too_big, (Missing::BodySize, Missing::Body))
}

/// The body of PUB or DPUB, see [`sized_body`].
///
/// # Errors
///
/// [`BodyError`] as soon as the size is there.
pub fn sized_message(input: &[u8], limit: usize) -> Result<Body<&[u8]>, BodyError> {
    let too_big = |size| BodyError::MessageTooBig { size, limit };
    sized(input, limit, BodyError::MessageSize, too_big, (Missing::MessageSize, Missing::Message))
}

/// Reads the body of one MPUB as it arrives, each byte once.
///
/// As nsqd, it believes the number of messages and their sizes; the size of the whole is only held against the limit.
#[derive(Debug, Clone, Default)]
pub struct MpubScan {
    /// How many bytes have been judged, the whole's size included.
    at: usize,
    /// Of messages, once it is known.
    count: usize,
    seen: usize,
}

/// The messages of a complete MPUB.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl MpubScan {
    /// Goes on with `input`, which begins behind the line and holds all that `input` held before.
    ///
    /// # Errors
    ///
    /// [`BodyError`] as soon as a number can't be right. The scan can't go on then.
    pub fn advance<'a>(
        &mut self,
        input: &'a [u8],
        max_msg_size: usize,
        max_body_size: usize,
    ) -> Result<Body<Messages<'a>>, BodyError> {
        let next_size = |at: usize| input.get(at..).and_then(<[u8]>::first_chunk).copied().map(i32::from_be_bytes);
        if self.at < SIZE {
            let Some(size) = next_size(0) else { return Ok(incomplete(SIZE, Missing::BodySize)) };
            let bytes = positive(size).ok_or(BodyError::Size(size))?;
            if bytes > max_body_size {
                return Err(BodyError::TooBig { size: bytes, limit: max_body_size });
            }
            self.at = SIZE;
        }
        if self.at < FIRST_MESSAGE {
            let Some(count) = next_size(SIZE) else { return Ok(incomplete(FIRST_MESSAGE, Missing::Count)) };
            // Each takes at least its size and one byte.
            let most = max_body_size.saturating_sub(SIZE) / (SIZE + 1);
            self.count = positive(count).filter(|count| *count <= most).ok_or(BodyError::Count(count))?;
            self.at = FIRST_MESSAGE;
        }
        while self.seen < self.count {
            let needed = self.at + SIZE;
            let Some(size) = next_size(self.at) else {
                return Ok(incomplete(needed, Missing::InnerSize { index: self.seen }));
            };
            let bytes = positive(size).ok_or(BodyError::InnerSize { index: self.seen, size })?;
            if bytes > max_msg_size {
                return Err(BodyError::MessageTooBig { size: bytes, limit: max_msg_size });
            }
            // nsqd goes on as long as there are messages, which bounds nothing: a thousand of them may have a gigabyte.
            let needed = needed + bytes;
            if needed - SIZE > max_body_size {
                return Err(BodyError::TooBig { size: needed - SIZE, limit: max_body_size });
            }
            if input.len() < needed {
                return Ok(incomplete(needed, Missing::Message));
            }
            self.at = needed;
            self.seen += 1;
        }
        Ok(Body::Complete { content: Messages { rest: &input[FIRST_MESSAGE..self.at] }, consumed: self.at })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // The scan has made sure that each size is followed by as many bytes.
        let (size, rest) = self.rest.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(positive(i32::from_be_bytes(*size))?)?;
        self.rest = rest;
        Some(message)
    }
}

/// Where the first `\n` is. Eight bytes at a time: of a short command, most of the work is to find its end.
fn line_end(input: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = input.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let zero_at_end = u64::from_le_bytes(*word) ^ (EACH * u64::from(b'\n'));
        // The lowest of the high bits that this leaves belongs to the first byte that is zero.
        let found = zero_at_end.wrapping_sub(EACH) & !zero_at_end & (EACH << 7);
        if found != 0 {
            return Some(index * size_of::<u64>() + found.trailing_zeros() as usize / 8);
        }
    }
    let behind = input.len() - rest.len();
    rest.iter().position(|byte| *byte == b'\n').map(|end| behind + end)
}

fn sized(
    input: &[u8],
    limit: usize,
    invalid: impl Fn(i32) -> BodyError,
    too_big: impl Fn(usize) -> BodyError,
    (missing_size, missing): (Missing, Missing),
) -> Result<Body<&[u8]>, BodyError> {
    let Some((size, rest)) = input.split_first_chunk() else { return Ok(incomplete(SIZE, missing_size)) };
    let size = i32::from_be_bytes(*size);
    let bytes = positive(size).ok_or_else(|| invalid(size))?;
    if bytes > limit {
        return Err(too_big(bytes));
    }
    Ok(match rest.get(..bytes) {
        Some(content) => Body::Complete { content, consumed: SIZE + bytes },
        None => incomplete(SIZE + bytes, missing),
    })
}

fn incomplete<T>(needed: usize, missing: Missing) -> Body<T> {
    Body::Incomplete { needed, missing }
}

fn positive(size: i32) -> Option<usize> {
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// Of a size on the wire.
const SIZE: usize = 4;

/// Of an MPUB: behind the whole's size and the count.
const FIRST_MESSAGE: usize = 2 * SIZE;

/// nsqd reads a line through a buffer of this size and closes the connection when it doesn't fit.
const MAX_LINE: usize = 16 * 1024;
