//! How much to read at once.

/// Follows what arrives: small while a connection is quiet, so that a message that is kept doesn't keep much
/// memory around it, and large in a flood, for few system calls.
#[derive(Debug)]
pub(super) struct ReadSize {
    size: usize,
    /// How many reads in a row would have fitted into half the size.
    small: u8,
    /// How many messages had come before the last read.
    received: u64,
}

impl ReadSize {
    pub(super) fn new() -> Self {
        Self { size: SMALLEST, small: 0, received: 0 }
    }

    /// The room to have before the next read.
    pub(super) fn bytes(&self) -> usize {
        self.size
    }

    /// A read brought `count` bytes into the `room` there was. Since the connection began, `received` messages had come
    /// before it.
    pub(super) fn observe(&mut self, count: usize, room: usize, received: u64) {
        let messages = received - std::mem::replace(&mut self.received, received);
        if count == room {
            self.small = 0;
            let most = match messages {
                // Something else came, or a part of one message, for which there is room in any case.
                0 => self.size.max(LARGEST),
                1..MANY => LARGEST_FOR_FEW,
                _ => LARGEST,
            };
            self.size = (self.size * 2).min(most);
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
/// Where bodies are large: a wake-up of the handlers for each two or three would cost more than the handlers.
const LARGEST_FOR_FEW: usize = 512 * 1024;
/// A read with fewer messages brought large ones.
const MANY: u64 = 16;
/// One short read in a flood doesn't mean that the flood is over.
const PATIENCE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_full_reads_and_shrinks_with_many_short_ones() {
        let mut size = ReadSize::new();
        let mut received = 0;
        let mut read = |size: &mut ReadSize, count, room| {
            received += MANY;
            size.observe(count, room, received);
        };
        for _ in 0..10 {
            let room = size.bytes();
            read(&mut size, room, room);
        }
        assert_eq!(size.bytes(), LARGEST);
        read(&mut size, 10, LARGEST);
        assert_eq!(size.bytes(), LARGEST);
        for _ in 0..100 {
            let room = size.bytes();
            read(&mut size, 10, room);
        }
        assert_eq!(size.bytes(), SMALLEST);
    }

    #[test]
    fn grows_further_only_while_messages_are_large() {
        let mut size = ReadSize::new();
        let mut received = 0;
        for _ in 0..10 {
            received += MANY - 1;
            size.observe(size.bytes(), size.bytes(), received);
        }
        assert_eq!(size.bytes(), LARGEST_FOR_FEW);
        size.observe(size.bytes(), size.bytes(), received);
        assert_eq!(size.bytes(), LARGEST_FOR_FEW, "a part of a message says nothing of the others");
        size.observe(size.bytes(), size.bytes(), received + MANY);
        assert_eq!(size.bytes(), LARGEST);
    }
}
