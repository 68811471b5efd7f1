//! What nsqd takes by default, and the checks a client makes before it sends.
//!
//! nsqd answers a refused size or name with an error and closes the connection, which would fail
//! everything else that waits for an answer on it. So these checks come first.

use std::time::Duration;

use thiserror::Error;

use crate::command::Batch;

/// nsqd's `--max-msg-size`: the largest message body, in bytes.
pub const DEFAULT_MAX_MSG_SIZE: usize = 1024 * 1024;

/// nsqd's `--max-body-size`: the largest body of IDENTIFY, AUTH and MPUB, in bytes.
pub const DEFAULT_MAX_BODY_SIZE: usize = 5 * 1024 * 1024;

/// nsqd's `--max-rdy-count`: the largest RDY of one connection.
pub const DEFAULT_MAX_RDY_COUNT: u32 = 2500;

/// nsqd's `--msg-timeout`: how long a client may hold a message.
pub const DEFAULT_MSG_TIMEOUT: Duration = Duration::from_secs(60);

/// nsqd's `--max-msg-timeout`: how long a message can be held with touches, counted from its delivery.
pub const DEFAULT_MAX_MSG_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// nsqd's `--max-req-timeout`: the longest delay of REQ (clamped) and DPUB (refused).
pub const DEFAULT_MAX_REQ_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The heartbeat interval that nsqd uses when a client names none.
pub const DEFAULT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// The largest frame that a client reads by default, in bytes: room for the messages of an nsqd whose
/// `--max-msg-size` was raised to sixteen times its default.
pub const DEFAULT_MAX_FRAME_SIZE: usize = 16 * 1024 * 1024;

/// The sizes and delays that a client refuses to send.
///
/// nsqd's reply to IDENTIFY names none of them, so a client whose nsqd runs with other limits has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishLimits {
    /// The largest message body in bytes. Default: 1 MiB.
    pub max_msg_size: usize,
    /// The largest MPUB body in bytes: each message counts with 4 bytes more, and 4 for their number. Default: 5 MiB.
    pub max_body_size: usize,
    /// The longest delay of a deferred publish. Default: 1 hour.
    pub max_defer: Duration,
}

/// Why a publish was refused before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LimitError {
    /// A message without a body: nsqd refuses those.
    #[error("the message is empty: nsqd takes only messages of at least one byte")]
    EmptyMessage,
    /// A message larger than [`PublishLimits::max_msg_size`].
    #[error(
        "the message has {size} bytes, more than max_msg_size ({limit}): send less, or raise it here and in nsqd's --max-msg-size"
    )]
    MessageTooLarge {
        /// The message's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// An MPUB without a message.
    #[error("there is no message to publish")]
    NoMessages,
    /// An MPUB body larger than [`PublishLimits::max_body_size`].
    #[error(
        "the messages make a body of {size} bytes, more than max_body_size ({limit}): split them, or raise it here and in nsqd's --max-body-size"
    )]
    BodyTooLarge {
        /// The body's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A deferred publish further away than [`PublishLimits::max_defer`].
    #[error(
        "a delay of {delay:?} is more than max_defer ({limit:?}): nsqd would refuse it, raise it here and in nsqd's --max-req-timeout"
    )]
    DelayTooLong {
        /// The delay asked for.
        delay: Duration,
        /// The limit.
        limit: Duration,
    },
}

impl PublishLimits {
    /// Checks one message body.
    ///
    /// # Errors
    ///
    /// When it is empty or too large.
    pub fn check_message(&self, body: &[u8]) -> Result<(), LimitError> {
        match body.len() {
            0 => Err(LimitError::EmptyMessage),
            size if size > self.max_msg_size => Err(LimitError::MessageTooLarge { size, limit: self.max_msg_size }),
            _ => Ok(()),
        }
    }

    /// Checks the messages of one MPUB.
    ///
    /// # Errors
    ///
    /// When there is none, when one is empty or too large, or when all together are too large.
    pub fn check_messages<B: AsRef<[u8]>>(&self, bodies: &[B]) -> Result<(), LimitError> {
        self.check_all(bodies.iter().map(AsRef::as_ref))
    }

    /// Checks a batch, as [`check_messages`](Self::check_messages).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn check_batch(&self, batch: &Batch) -> Result<(), LimitError> {
        self.check_all(batch.iter())
    }

    fn check_all<'a>(&self, bodies: impl Iterator<Item = &'a [u8]>) -> Result<(), LimitError> {
        let (mut count, mut bytes) = (0, 0);
        for body in bodies {
            self.check_message(body)?;
            count += 1;
            bytes += body.len();
        }
        if count == 0 {
            return Err(LimitError::NoMessages);
        }
        let size = mpub_body_size(count, bytes);
        if size > self.max_body_size {
            return Err(LimitError::BodyTooLarge { size, limit: self.max_body_size });
        }
        Ok(())
    }

    /// Checks the delay of a deferred publish.
    ///
    /// # Errors
    ///
    /// When it is longer than nsqd allows.
    pub fn check_delay(&self, delay: Duration) -> Result<(), LimitError> {
        if delay > self.max_defer {
            return Err(LimitError::DelayTooLong { delay, limit: self.max_defer });
        }
        Ok(())
    }
}

impl Default for PublishLimits {
    fn default() -> Self {
        Self {
            max_msg_size: DEFAULT_MAX_MSG_SIZE,
            max_body_size: DEFAULT_MAX_BODY_SIZE,
            max_defer: DEFAULT_MAX_REQ_TIMEOUT,
        }
    }
}

/// The size in bytes of an MPUB body of `count` messages with `bytes` bytes in all: what nsqd holds against
/// its `--max-body-size`.
pub(crate) const fn mpub_body_size(count: usize, bytes: usize) -> usize {
    4 + 4 * count + bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PublishLimits =
        PublishLimits { max_msg_size: 10, max_body_size: 30, max_defer: Duration::from_secs(1) };

    #[test]
    fn a_message_is_checked_at_both_ends() {
        assert_eq!(LIMITS.check_message(b""), Err(LimitError::EmptyMessage));
        assert_eq!(LIMITS.check_message(&[0; 10]), Ok(()));
        assert_eq!(LIMITS.check_message(&[0; 11]), Err(LimitError::MessageTooLarge { size: 11, limit: 10 }));
    }

    #[test]
    fn a_batch_is_measured_as_nsqd_measures_it() {
        assert_eq!(LIMITS.check_messages::<&[u8]>(&[]), Err(LimitError::NoMessages));
        assert_eq!(LIMITS.check_messages(&[&[0_u8; 9], &[0; 9]]), Ok(()));
        assert_eq!(
            LIMITS.check_messages(&[&[0_u8; 9][..], &[0; 10]]),
            Err(LimitError::BodyTooLarge { size: 31, limit: 30 })
        );
        assert_eq!(LIMITS.check_messages(&[&b"a"[..], b""]), Err(LimitError::EmptyMessage));
    }

    #[test]
    fn a_delay_is_refused_beyond_the_limit() {
        assert_eq!(LIMITS.check_delay(Duration::from_secs(1)), Ok(()));
        assert!(LIMITS.check_delay(Duration::from_millis(1001)).is_err());
    }
}
