//! The messages of an MPUB.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::{put_bodies, put_sized, wire_size};
use crate::limits::{LimitError, PublishLimits, mpub_body_size};
use crate::outgoing::Outgoing;

/// The messages of one MPUB. Clones share them.
#[derive(Clone)]
pub struct Batch(Kind);

#[derive(Clone)]
enum Kind {
    Apart(Arc<[Bytes]>),
    /// The body of an MPUB: how many messages there are, and for each its length, then itself.
    Packed {
        count: usize,
        body: Bytes,
    },
}

/// Packs messages that are held elsewhere into a [`Batch`]: each is copied once, and the batch goes out as it was packed.
///
/// ```
/// use gnsq_proto::PublishLimits;
/// use gnsq_proto::command::Packer;
///
/// let mut packer = Packer::new(PublishLimits::default(), 2);
/// packer.push(b"first")?;
/// packer.push(b"second")?;
/// let batch = packer.finish()?;
/// assert!(batch.iter().eq([&b"first"[..], b"second"]));
/// # Ok::<(), gnsq_proto::LimitError>(())
/// ```
#[derive(Debug)]
pub struct Packer {
    limits: PublishLimits,
    /// How many messages there will be, about.
    expected: usize,
    count: usize,
    /// What the messages have, the number of them left out until it is known.
    body: BytesMut,
}

impl Batch {
    /// How many messages it has.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Apart(bodies) => bodies.len(),
            Kind::Packed { count, .. } => *count,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size in bytes of an MPUB's body that has them: what nsqd holds against its `--max-body-size`.
    pub fn size(&self) -> usize {
        match &self.0 {
            Kind::Apart(bodies) => mpub_body_size(bodies.len(), bodies.iter().map(Bytes::len).sum()),
            Kind::Packed { body, .. } => body.len(),
        }
    }

    /// Its messages, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (apart, mut packed) = match &self.0 {
            Kind::Apart(bodies) => (&bodies[..], &[][..]),
            Kind::Packed { body, .. } => (&[][..], &body[PER_BODY..]),
        };
        let packed = std::iter::from_fn(move || {
            let (len, rest) = packed.split_first_chunk()?;
            let (message, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
            packed = rest;
            Some(message)
        });
        apart.iter().map(AsRef::as_ref).chain(packed)
    }

    /// Its messages, to be kept: none of them is copied.
    pub fn to_vec(&self) -> Vec<Bytes> {
        match &self.0 {
            Kind::Apart(bodies) => bodies.to_vec(),
            Kind::Packed { body, .. } => self.iter().map(|message| body.slice_ref(message)).collect(),
        }
    }

    pub(super) fn encode(&self, out: &mut Outgoing) {
        match &self.0 {
            Kind::Apart(bodies) => put_bodies(bodies.iter(), out),
            Kind::Packed { body, .. } => put_sized(body, out),
        }
    }
}

impl Packer {
    /// Begins without a message; there will be about `expected`. What the limits don't allow is refused.
    pub fn new(limits: PublishLimits, expected: usize) -> Self {
        Self { limits, expected, count: 0, body: BytesMut::new() }
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// [`LimitError`] when it is empty or too large, or is too large with those before; it isn't added then.
    pub fn push(&mut self, message: &[u8]) -> Result<(), LimitError> {
        self.limits.check_message(message)?;
        if self.count == 0 {
            // All of them at once, if they are about equal.
            let size = (PER_MESSAGE + message.len()).saturating_mul(self.expected);
            self.body.reserve(PER_BODY + size.min(RESERVE_AT_MOST));
            self.body.put_bytes(0, PER_BODY);
        }
        let size = self.body.len() + PER_MESSAGE + message.len();
        let limit = self.limits.max_body_size;
        // A size field is signed where nsqd reads it.
        if size > limit || i32::try_from(size).is_err() {
            return Err(LimitError::BodyTooLarge { size, limit });
        }
        self.body.put_slice(&wire_size(message.len()));
        self.body.put_slice(message);
        self.count += 1;
        Ok(())
    }

    /// The batch.
    ///
    /// # Errors
    ///
    /// [`LimitError::NoMessages`] when no message was added.
    pub fn finish(mut self) -> Result<Batch, LimitError> {
        let Some(count) = self.body.get_mut(..PER_BODY).filter(|_| self.count > 0) else {
            return Err(LimitError::NoMessages);
        };
        count.copy_from_slice(&wire_size(self.count));
        Ok(Batch(Kind::Packed { count: self.count, body: self.body.freeze() }))
    }
}

impl From<Vec<Bytes>> for Batch {
    fn from(bodies: Vec<Bytes>) -> Self {
        Self(Kind::Apart(bodies.into()))
    }
}

impl<const N: usize> From<[Bytes; N]> for Batch {
    fn from(bodies: [Bytes; N]) -> Self {
        Self(Kind::Apart(bodies.into()))
    }
}

impl FromIterator<Bytes> for Batch {
    fn from_iter<I: IntoIterator<Item = Bytes>>(bodies: I) -> Self {
        Self(Kind::Apart(bodies.into_iter().collect()))
    }
}

/// Those with the same messages are equal, whether packed or not.
impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Batch {}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.to_vec()).finish()
    }
}

/// The number of messages, ahead of them.
const PER_BODY: usize = mpub_body_size(0, 0);

/// A message's length, ahead of it.
const PER_MESSAGE: usize = mpub_body_size(1, 0) - PER_BODY;

/// Messages may become smaller than the first.
const RESERVE_AT_MOST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;
    use crate::{Command, TopicName};

    const LIMITS: PublishLimits =
        PublishLimits { max_msg_size: 5, max_body_size: 22, max_defer: std::time::Duration::ZERO };

    fn packed(messages: &[&[u8]]) -> Result<Batch, LimitError> {
        let mut packer = Packer::new(LIMITS, messages.len());
        messages.iter().try_for_each(|message| packer.push(message))?;
        packer.finish()
    }

    fn wire(bodies: Batch) -> Bytes {
        let mut out = Outgoing::new();
        Command::Mpub { topic: TopicName::new("t").unwrap(), bodies }.encode(&mut out);
        out.copy_to_bytes(out.remaining())
    }

    #[test]
    fn packed_or_not_it_is_the_same_batch() {
        let packed = packed(&[b"a", b"bcd"]).unwrap();
        let apart: Batch = [Bytes::from_static(b"a"), Bytes::from_static(b"bcd")].into();
        assert_eq!(packed, apart);
        for batch in [&packed, &apart] {
            assert_eq!(format!("{batch:?}"), r#"[b"a", b"bcd"]"#);
            assert_eq!(batch.to_vec(), ["a", "bcd"]);
        }
        assert_eq!((packed.len(), packed.size()), (2, 16));
        assert_eq!((apart.len(), apart.size()), (2, 16));
        assert_eq!(wire(packed), wire(apart));
    }

    #[test]
    fn what_nsqd_would_refuse_is_refused() {
        assert_eq!(packed(&[]), Err(LimitError::NoMessages));
        assert_eq!(packed(&[b"a", b""]), LIMITS.check_message(b"").map(|()| unreachable!()));
        assert_eq!(packed(&[b"123456"]), LIMITS.check_message(b"123456").map(|()| unreachable!()));
        assert!(packed(&[b"12345", b"12345"]).is_ok());
        assert_eq!(packed(&[b"12345", b"12345", b"1"]), Err(LimitError::BodyTooLarge { size: 27, limit: 22 }));
    }

    #[test]
    fn what_is_refused_leaves_the_others() {
        let mut packer = Packer::new(LIMITS, usize::MAX);
        assert!(packer.push(b"").is_err());
        packer.push(b"a").unwrap();
        assert!(packer.push(b"123456").is_err());
        packer.push(b"b").unwrap();
        assert!(packer.finish().unwrap().iter().eq([b"a", b"b"]));
    }
}
