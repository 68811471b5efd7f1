//! What goes wrong one way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// One direction of a [`Proxy`](super::Proxy), and what is wrong with it.
///
/// The faults are independent of each other and hold for all connections until [`pass`](Self::pass). Offsets count the
/// bytes of each connection in this direction, from its beginning.
#[derive(Debug, Default)]
pub struct Direction {
    faults: watch::Sender<Faults>,
    bytes: AtomicU64,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    stalled: bool,
    delay: Duration,
    bytes_per_second: Option<u64>,
    corrupt_after: Option<u64>,
    cut_after: Option<u64>,
    cut_up: Option<u64>,
}

impl Direction {
    /// Lifts all faults.
    pub fn pass(&self) {
        self.faults.send_replace(Faults::default());
    }

    /// Lets every byte, and the end of a connection, arrive this much later.
    pub fn delay(&self, delay: Duration) {
        self.faults.send_modify(|faults| faults.delay = delay);
    }

    /// Reads nothing more and lets nothing through, but keeps the connections open.
    pub fn stall(&self) {
        self.faults.send_modify(|faults| faults.stalled = true);
    }

    /// Ends [`stall`](Self::stall), and lets through what it held up.
    pub fn resume(&self) {
        self.faults.send_modify(|faults| faults.stalled = false);
    }

    /// Lets each connection pass at most this much.
    ///
    /// # Panics
    ///
    /// If it is 0: [`stall`](Self::stall) does that.
    pub fn throttle(&self, bytes_per_second: u64) {
        assert_ne!(bytes_per_second, 0, "nothing passes at 0 bytes a second: use stall()");
        self.faults.send_modify(|faults| faults.bytes_per_second = Some(bytes_per_second));
    }

    /// Flips all bits of every byte from this offset on.
    pub fn corrupt_after(&self, bytes: u64) {
        self.faults.send_modify(|faults| faults.corrupt_after = Some(bytes));
    }

    /// Closes each connection, on both sides, once this many bytes have passed.
    ///
    /// A connection that is beyond that, or has nothing left to pass, is closed when the next byte comes.
    pub fn cut_after(&self, bytes: u64) {
        self.faults.send_modify(|faults| faults.cut_after = Some(bytes));
    }

    /// Cuts what passes into pieces of 1 byte to 64 KiB, small ones and large ones, each sent on its own. Where the cuts are
    /// follows from the seed: each connection has the same ones.
    pub fn cut_up(&self, seed: u64) {
        self.faults.send_modify(|faults| faults.cut_up = Some(seed));
    }

    /// How many bytes have passed so far, on all connections.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(self.faults.subscribe())
    }
}

impl Faults {
    /// How many of the `waiting` bytes at offset `passed` may go in one piece; `None` if the connection is to be cut.
    pub(super) fn piece(&self, passed: u64, waiting: usize) -> Option<usize> {
        let mut piece = waiting;
        if let Some(rate) = self.bytes_per_second {
            piece = piece.min(usize::try_from(rate / PIECES_PER_SECOND).unwrap_or(usize::MAX).max(1));
        }
        if let Some(seed) = self.cut_up {
            piece = piece.min(random_size(seed, passed));
        }
        if let Some(end) = self.cut_after {
            let rest = end.checked_sub(passed).filter(|&rest| rest > 0)?;
            piece = piece.min(usize::try_from(rest).unwrap_or(usize::MAX));
        }
        Some(piece)
    }

    /// Whether the connection ends after its first `passed` bytes.
    pub(super) fn cuts_at(&self, passed: u64) -> bool {
        self.cut_after.is_some_and(|end| passed >= end)
    }

    /// How long `bytes` keep the line busy.
    pub(super) fn busy(&self, bytes: usize) -> Duration {
        match self.bytes_per_second {
            Some(rate) => Duration::from_nanos(1_000_000_000_u64.saturating_mul(bytes as u64) / rate),
            None => Duration::ZERO,
        }
    }

    /// Flips what is to be flipped of the bytes at offset `passed`.
    pub(super) fn corrupt(&self, passed: u64, bytes: &mut [u8]) {
        if let Some(start) = self.corrupt_after {
            let intact = usize::try_from(start.saturating_sub(passed)).unwrap_or(usize::MAX);
            for byte in bytes.iter_mut().skip(intact) {
                *byte = !*byte;
            }
        }
    }
}

/// How one end of a connection learns of faults.
pub(super) struct Watch(watch::Receiver<Faults>);

impl Watch {
    /// Waits until nothing stalls.
    pub(super) async fn flowing(&mut self) {
        while self.0.borrow_and_update().stalled {
            self.changed().await;
        }
    }

    /// Waits until what arrived at `arrived` may go on over a line that is busy until `busy_until`.
    pub(super) async fn cleared(&mut self, arrived: Instant, busy_until: Instant) -> Faults {
        loop {
            self.flowing().await;
            let faults = *self.0.borrow();
            let due = match faults.bytes_per_second {
                Some(_) => busy_until.max(arrived + faults.delay),
                None => arrived + faults.delay,
            };
            if Instant::now() >= due {
                return faults;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.changed() => {}
            }
        }
    }

    /// Waits until the faults are set anew.
    pub(super) async fn changed(&mut self) {
        self.0.changed().await.expect("a connection holds the network, which holds the sender");
    }
}

/// As often a few bytes as thousands; the same for the same seed and offset.
fn random_size(seed: u64, offset: u64) -> usize {
    // SplitMix64: neighbouring offsets have nothing in common.
    let mut random = seed.wrapping_add((offset + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    random ^= random >> 31;
    let (bits, value) = (random % 17, random >> 8);
    1 + usize::try_from(value & ((1 << bits) - 1)).expect("it is below 64 KiB")
}

/// How finely a throttled line divides a second.
const PIECES_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corruption_begins_at_its_offset_wherever_pieces_end() {
        let faults = Faults { corrupt_after: Some(3), ..Faults::default() };
        for cut in 0..=5 {
            let mut bytes = [0; 5];
            let (first, second) = bytes.split_at_mut(cut);
            faults.corrupt(0, first);
            faults.corrupt(cut as u64, second);
            assert_eq!(bytes, [0, 0, 0, 0xff, 0xff], "cut at {cut}");
        }
    }

    #[test]
    fn a_cut_lets_exactly_its_bytes_pass() {
        let faults = Faults { cut_after: Some(3), ..Faults::default() };
        assert_eq!(faults.piece(0, 10), Some(3));
        assert_eq!(faults.piece(2, 10), Some(1));
        assert_eq!(faults.piece(3, 10), None);
        assert!(!faults.cuts_at(2));
        assert!(faults.cuts_at(3));
    }

    #[test]
    fn pieces_have_all_sizes_and_are_the_same_for_the_same_seed() {
        let sizes = |seed| (0..2000).map(move |offset| random_size(seed, offset));
        assert!(sizes(7).all(|size| (1..=1 << 16).contains(&size)));
        assert!(sizes(7).any(|size| size == 1) && sizes(7).any(|size| size > 1 << 15));
        assert!(sizes(7).eq(sizes(7)) && !sizes(7).eq(sizes(8)));
        let faults = Faults { cut_up: Some(7), ..Faults::default() };
        assert_eq!(faults.piece(1, usize::MAX), Some(random_size(7, 1)));
        assert_eq!(faults.piece(1, 1), Some(1));
    }

    #[test]
    fn a_slow_line_lets_bytes_pass_one_by_one() {
        let faults = Faults { bytes_per_second: Some(4), ..Faults::default() };
        assert_eq!(faults.piece(0, 10), Some(1));
        assert_eq!(faults.busy(1), Duration::from_millis(250));
    }
}
