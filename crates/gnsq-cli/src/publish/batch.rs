//! Messages that go out together.

use bytes::Bytes;

/// A batch being filled, within limits of count and size.
#[derive(Debug)]
pub(super) struct Batch {
    messages: Vec<Bytes>,
    /// As nsqd counts them: each with its length before it, and their number.
    size: usize,
    max_messages: usize,
    max_size: usize,
    /// What didn't fit.
    held: Option<Bytes>,
}

impl Batch {
    pub(super) fn new(max_messages: usize, max_size: usize) -> Self {
        Self { messages: Vec::new(), size: COUNT_SIZE, max_messages, max_size, held: None }
    }

    /// Adds a message. It must not be full.
    pub(super) fn push(&mut self, message: Bytes) {
        let size = self.size + LENGTH_SIZE + message.len();
        if !self.messages.is_empty() && size > self.max_size {
            self.held = Some(message);
            return;
        }
        self.size = size;
        self.messages.push(message);
    }

    /// Whether no more can be added before it is taken.
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= self.max_messages || self.held.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes what is to go out, and begins the next with what didn't fit.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        let messages = std::mem::take(&mut self.messages);
        self.size = COUNT_SIZE;
        if let Some(held) = self.held.take() {
            self.push(held);
        }
        messages
    }
}

const COUNT_SIZE: usize = 4;
const LENGTH_SIZE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_by_count() {
        let mut batch = Batch::new(2, 1000);
        batch.push("a".into());
        assert!(!batch.is_full());
        batch.push("b".into());
        assert!(batch.is_full());
        assert_eq!(batch.take(), ["a", "b"]);
        assert!(batch.is_empty());
    }

    #[test]
    fn what_does_not_fit_begins_the_next() {
        // Two of three bytes make a body of 4 + 2 * (4 + 3) bytes.
        let mut batch = Batch::new(100, 18);
        for message in ["aaa", "bbb", "ccc"] {
            assert!(!batch.is_full());
            batch.push(message.into());
        }
        assert!(batch.is_full());
        assert_eq!(batch.take(), ["aaa", "bbb"]);
        assert_eq!(batch.take(), ["ccc"]);
        assert!(batch.is_empty());
    }
}
