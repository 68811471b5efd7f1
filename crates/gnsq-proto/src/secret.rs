//! What must not be seen.

use std::fmt;

use bytes::Bytes;

/// The secret of AUTH. It shows in no `Debug` output, log or error.
///
/// ```
/// use gnsq_proto::Secret;
///
/// assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret(..)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Bytes);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<S: Into<Bytes>> From<S> for Secret {
    fn from(secret: S) -> Self {
        Self(secret.into())
    }
}
