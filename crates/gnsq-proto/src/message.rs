//! A message as nsqd delivers it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use thiserror::Error;

/// A message's id: 16 bytes, in practice hexadecimal digits.
///
/// Unique within a topic of one nsqd, not across topics or nsqds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

/// As one number: hashing it as a slice of bytes takes several times as long, twice a message. In the order of its digits:
/// nsqd counts in the last ones, and a hash that multiplies carries differences upwards only.
#[allow(clippy::derived_hash_with_manual_eq, reason = "equal ids are equal numbers")]
impl Hash for MessageId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_be_bytes(self.0));
    }
}

impl MessageId {
    /// How many bytes an id has.
    pub const LEN: usize = 16;
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// Why a text is no message id: it has not 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a message id has 16 bytes, not {0}")]
pub struct MessageIdError(usize);

impl TryFrom<&[u8]> for MessageId {
    type Error = MessageIdError;

    fn try_from(bytes: &[u8]) -> Result<Self, MessageIdError> {
        bytes.try_into().map(Self).map_err(|_| MessageIdError(bytes.len()))
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        text.as_bytes().try_into()
    }
}

/// The content of a message frame. The body shares the memory that it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFrame {
    /// When nsqd received the message: nanoseconds since the Unix epoch.
    pub timestamp: i64,
    /// How often nsqd has sent this message, this time included: 1 at first. It wraps after 65,535.
    pub attempts: u16,
    /// What FIN, REQ and TOUCH name.
    pub id: MessageId,
    /// What was published.
    pub body: Bytes,
}

impl MessageFrame {
    /// [`timestamp`](Self::timestamp) as a time. A negative one, which nsqd never sends, gives the epoch.
    pub fn published_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(self.timestamp).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use rustc_hash::FxBuildHasher;

    use super::*;

    #[test]
    fn ids_that_nsqd_gives_in_a_row_are_hashed_to_different_places() {
        // A time, the number of the nsqd, and 12 bits that count.
        let first = 0x2d_5e6f_7081_u64 << 22 | 0x155 << 12;
        let hash = |count| {
            let digits = format!("{:016x}", first + count);
            FxBuildHasher.hash_one(MessageId(digits.as_bytes().try_into().unwrap()))
        };
        // A table of 4096 places; by chance 887 of them were taken.
        let places: HashSet<_> = (0..1000).map(|count| hash(count) % 4096).collect();
        assert!(places.len() > 800, "1000 ids have {} places", places.len());
    }
}
