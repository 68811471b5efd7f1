//! A message as it is kept, and its id.

use bytes::BytesMut;
use gnsq_proto::{MessageId, frame};
use triomphe::ThinArc;

use super::budget::Charge;
use crate::clock::{Clock, Tick};

/// The time, read once for all that is done together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) tick: Tick,
    /// Since the Unix epoch.
    pub(super) unix_nanos: i64,
}

impl Now {
    pub(super) fn read(clock: &Clock) -> Self {
        Self { tick: clock.now(), unix_nanos: clock.unix_nanos() }
    }
}

/// A message in a queue. Its copies in other channels share one allocation, which holds the body too.
#[derive(Debug, Clone)]
pub(super) struct Message {
    stored: ThinArc<Header, u8>,
    /// How often this channel has sent it. It wraps, as nsqd's does.
    attempts: u16,
}

#[derive(Debug)]
struct Header {
    id: u64,
    timestamp: i64,
    /// Ends with the last copy.
    _charge: Charge,
}

impl Message {
    /// Copies the body.
    pub(super) fn new(id: u64, now: Now, body: &[u8], charge: Charge) -> Self {
        let header = Header { id, timestamp: now.unix_nanos, _charge: charge };
        Self { stored: ThinArc::from_header_and_slice(header, body), attempts: 0 }
    }

    pub(super) fn id(&self) -> u64 {
        self.stored.header.header.id
    }

    /// When it was published, in nanoseconds since the Unix epoch.
    pub(super) fn timestamp(&self) -> i64 {
        self.stored.header.header.timestamp
    }

    /// Appends the frame of the next attempt.
    pub(super) fn encode_attempt(&mut self, out: &mut BytesMut) {
        self.attempts = self.attempts.wrapping_add(1);
        let header = &self.stored.header.header;
        frame::encode_message(header.timestamp, self.attempts, id_to_wire(header.id), &self.stored.slice, out);
    }
}

/// What makes the ids of one topic: they grow, and no two are the same.
///
/// As nsqd's: milliseconds (of 2^20 ns) since a day in 2010, 10 bits of the node's id, 12 bits that count.
#[derive(Debug)]
pub(super) struct IdSource {
    /// Milliseconds and count of the last id, without the node.
    last: u64,
    node: u64,
}

impl IdSource {
    pub(super) fn new(node_id: u16) -> Self {
        Self { last: 0, node: u64::from(node_id & 0x3ff) << COUNT_BITS }
    }

    /// More than 4096 in a millisecond run ahead of the time, and so does a clock that is set back.
    pub(super) fn next(&mut self, now: Now) -> u64 {
        let millis = u64::try_from((now.unix_nanos >> 20) - EPOCH).unwrap_or(0);
        self.last = (self.last + 1).max(millis << COUNT_BITS);
        (self.last >> COUNT_BITS) << (COUNT_BITS + NODE_BITS) | self.node | self.last & ((1 << COUNT_BITS) - 1)
    }
}

/// 16 hexadecimal digits.
fn id_to_wire(id: u64) -> MessageId {
    let mut digits = [0; MessageId::LEN];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id.to_be_bytes()) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    MessageId(digits)
}

/// Nothing for what can't be an id of ours.
pub(super) fn id_from_wire(digits: &[u8; MessageId::LEN]) -> Option<u64> {
    digits.iter().try_fold(0, |id, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(id << 4 | u64::from(value))
    })
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const COUNT_BITS: u32 = 12;
const NODE_BITS: u32 = 10;
/// 2010-11-04, in units of 2^20 ns.
const EPOCH: i64 = 1_288_834_974_288;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(unix_nanos: i64) -> Now {
        Now { tick: Tick::default(), unix_nanos }
    }

    #[test]
    fn ids_grow_whatever_the_clock_does() {
        let mut source = IdSource::new(1023);
        let mut ids = Vec::new();
        for unix_nanos in [1_700_000_000_000_000_000, 1_700_000_000_000_000_000, 5, i64::MAX, 1_700_000_000_000_000_000]
        {
            ids.extend((0..5000).map(|_| source.next(at(unix_nanos))));
        }
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id >> COUNT_BITS & 0x3ff == 1023));
    }

    #[test]
    fn an_id_survives_the_wire() {
        for id in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(id_from_wire(&id_to_wire(id).0), Some(id));
        }
        assert_eq!(id_from_wire(b"0123456789ABCDEF"), None);
        assert_eq!(id_from_wire(b"0123456789abcde\n"), None);
    }
}
