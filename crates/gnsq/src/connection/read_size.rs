//! How much to read at once.

/// Follows what arrives: small while a connection is quiet, so that a message that is kept doesn't keep much
/// memory around it, and large in a flood, for few system calls.
#[derive(Debug)]
pub(super) struct ReadSize {
    size: usize,
    /// How many reads in a row would have fitted into half the size.
    small: u8,
}

impl ReadSize {
    pub(super) fn new() -> Self {
        Self { size: SMALLEST, small: 0 }
    }

    /// The room to have before the next read.
    pub(super) fn bytes(&self) -> usize {
        self.size
    }

    /// A read brought `count` bytes into the `room` there was.
    pub(super) fn observe(&mut self, count: usize, room: usize) {
        if count == room {
            self.small = 0;
            self.size = (self.size * 2).min(LARGEST);
        } else if count < self.size / 2 {
            self.small += 1;
            if self.small == PATIENCE {
                self.small = 0;
                self.size = (self.size / 2).max(SMALLEST);
            }
        } else {
            self.small = 0;
        }
    }
}

const SMALLEST: usize = 4 * 1024;
/// More brings no fewer system calls: nsqd writes up to 64 KiB at once.
const LARGEST: usize = 128 * 1024;
/// One short read in a flood doesn't mean that the flood is over.
const PATIENCE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_full_reads_and_shrinks_with_many_short_ones() {
        let mut size = ReadSize::new();
        for _ in 0..10 {
            size.observe(size.bytes(), size.bytes());
        }
        assert_eq!(size.bytes(), LARGEST);
        size.observe(10, LARGEST);
        assert_eq!(size.bytes(), LARGEST);
        for _ in 0..100 {
            size.observe(10, size.bytes());
        }
        assert_eq!(size.bytes(), SMALLEST);
    }
}
