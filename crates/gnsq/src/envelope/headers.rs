//! An envelope's headers, in the bytes they came in.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::error::EnvelopeError;
use super::trace::TraceContext;
use super::tracestate::TraceState;
use super::{DELIVER_AT, TRACEPARENT, TRACESTATE};

/// The headers of a message, in the order they were written in. Each key is there once.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// Headers that were checked.
    block: Bytes,
}

impl Headers {
    pub(super) fn decode(block: Bytes) -> Result<Self, EnvelopeError> {
        if block.len() > MAX_BYTES {
            return Err(EnvelopeError::TooLarge(block.len()));
        }
        let mut keys = Vec::new();
        let mut rest = &*block;
        while !rest.is_empty() {
            let (key, value, behind) = next(rest)?;
            rest = behind;
            check_key(key)?;
            if keys.contains(&key) {
                return Err(EnvelopeError::Repeated(key.to_owned()));
            }
            keys.push(key);
            if keys.len() > MAX_COUNT {
                return Err(EnvelopeError::TooMany(keys.len()));
            }
            // What others wrote of traces is no reason to refuse the body: it is ignored if it can't be read.
            if key == DELIVER_AT {
                check_value(key, value)?;
            }
        }
        Ok(Self { block })
    }

    /// The value of the header with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// All headers, as keys and values.
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter { rest: &self.block }
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none; a message without an envelope has none.
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// The span that the message comes from. One that breaks W3C's rules counts as none, as they demand.
    pub fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.get(TRACEPARENT)?, self.get(TRACESTATE)).ok()
    }

    /// When the message is due, in whole milliseconds.
    pub fn deliver_at(&self) -> Option<SystemTime> {
        self.get(DELIVER_AT).and_then(parse_time)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a str);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// The headers one by one: see [`Headers::iter`].
#[derive(Debug, Clone)]
pub struct HeadersIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        // They were checked, so there is no error before their end.
        let (key, value, rest) = next(self.rest).ok()?;
        self.rest = rest;
        Some((key, value))
    }
}

/// Writes the headers, once they are known to be what [`Headers::decode`] takes.
pub(super) fn encode(headers: &[(String, String)]) -> Result<Vec<u8>, EnvelopeError> {
    if headers.len() > MAX_COUNT {
        return Err(EnvelopeError::TooMany(headers.len()));
    }
    let size = headers.iter().map(|(key, value)| 1 + key.len() + 2 + value.len()).sum();
    let mut block = Vec::with_capacity(usize::min(size, MAX_BYTES));
    for (key, value) in headers {
        check_key(key)?;
        check_value(key, value)?;
        let (Ok(key_len), Ok(value_len)) = (u8::try_from(key.len()), u16::try_from(value.len())) else {
            return Err(EnvelopeError::TooLarge(size));
        };
        block.push(key_len);
        block.extend_from_slice(key.as_bytes());
        block.extend_from_slice(&value_len.to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    if size > MAX_BYTES {
        return Err(EnvelopeError::TooLarge(size));
    }
    Ok(block)
}

/// The first header, and what is behind it.
fn next(block: &[u8]) -> Result<(&str, &str, &[u8]), EnvelopeError> {
    let (&[key_len], rest) = block.split_first_chunk().ok_or(EnvelopeError::Truncated)?;
    let (key, rest) = rest.split_at_checked(key_len.into()).ok_or(EnvelopeError::Truncated)?;
    let (value_len, rest) = rest.split_first_chunk().ok_or(EnvelopeError::Truncated)?;
    let value_len = u16::from_be_bytes(*value_len).into();
    let (value, rest) = rest.split_at_checked(value_len).ok_or(EnvelopeError::Truncated)?;
    let key = str::from_utf8(key).map_err(|_| EnvelopeError::Key(String::from_utf8_lossy(key).into_owned()))?;
    let value = str::from_utf8(value)
        .map_err(|_| EnvelopeError::Value { key: key.to_owned(), reason: "its value is no UTF-8" })?;
    Ok((key, value, rest))
}

fn check_key(key: &str) -> Result<(), EnvelopeError> {
    let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(good) {
        return Err(EnvelopeError::Key(key.to_owned()));
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> Result<(), EnvelopeError> {
    let reason = match key {
        TRACEPARENT if TraceContext::parse(value, None).is_err() => "it breaks the rules of W3C's Trace Context",
        TRACESTATE if TraceState::parse(value).is_err() => "it breaks the rules of W3C's Trace Context",
        DELIVER_AT if parse_time(value).is_none() => "it has to be milliseconds since 1970, in digits",
        _ => return Ok(()),
    };
    Err(EnvelopeError::Value { key: key.to_owned(), reason })
}

fn parse_time(text: &str) -> Option<SystemTime> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let millis = text.parse().ok().filter(|_| digits)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

pub(super) const MAX_COUNT: usize = 64;
pub(super) const MAX_KEY: usize = 64;
/// Room for the longest `tracestate` that W3C allows, and much else.
pub(super) const MAX_BYTES: usize = 32 * 1024;
