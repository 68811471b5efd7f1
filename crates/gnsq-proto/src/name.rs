//! Topic and channel names, which can't be wrong once they exist.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The longest name nsqd takes, in bytes, `#ephemeral` included.
pub const MAX_NAME_LEN: usize = 64;

/// What marks a topic or channel that nsqd deletes with its last user.
pub const EPHEMERAL_SUFFIX: &str = "#ephemeral";

/// Why a string is no topic or channel name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} name {name:?} {reason}")]
pub struct NameError {
    kind: &'static str,
    name: String,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum Reason {
    #[error("is empty: use 1 to 64 of the characters a-z A-Z 0-9 . _ -")]
    Empty,
    #[error("is {0} bytes long: at most 64 are allowed, #ephemeral included")]
    TooLong(usize),
    #[error("has characters other than a-z A-Z 0-9 . _ - before an optional #ephemeral")]
    Characters,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `name` and keeps it.
            ///
            /// # Errors
            ///
            /// [`NameError`] when it is empty, longer than 64 bytes, or has a character that NSQ refuses.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                let name = name.as_ref();
                match check(name) {
                    Ok(()) => Ok(Self(name.into())),
                    Err(reason) => Err(NameError {
                        kind: $kind,
                        // A name from a stranger can be of any length; an error shows its beginning.
                        name: name.chars().take(2 * MAX_NAME_LEN).collect(),
                        reason,
                    }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name ends in `#ephemeral`.
            pub fn is_ephemeral(&self) -> bool {
                self.0.ends_with(EPHEMERAL_SUFFIX)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = NameError;

            fn try_from(name: &String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }
    };
}

name_type!(
    /// The name of a topic: 1 to 64 of the characters `a-z A-Z 0-9 . _ -`, then possibly `#ephemeral`,
    /// which counts. Cloning is cheap.
    ///
    /// ```
    /// use gnsq_proto::TopicName;
    ///
    /// let topic = TopicName::new("orders.paid")?;
    /// assert_eq!(topic.as_str(), "orders.paid");
    /// assert!(TopicName::new("orders/paid").is_err());
    /// # Ok::<(), gnsq_proto::NameError>(())
    /// ```
    TopicName,
    "topic"
);

name_type!(
    /// The name of a channel, under the same rules as [`TopicName`].
    ///
    /// ```
    /// use gnsq_proto::ChannelName;
    ///
    /// assert!(ChannelName::new("tail#ephemeral")?.is_ephemeral());
    /// # Ok::<(), gnsq_proto::NameError>(())
    /// ```
    ChannelName,
    "channel"
);

fn check(name: &str) -> Result<(), Reason> {
    if name.is_empty() {
        return Err(Reason::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(Reason::TooLong(name.len()));
    }
    let base = name.strip_suffix(EPHEMERAL_SUFFIX).unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if base.is_empty() || !base.bytes().all(allowed) {
        return Err(Reason::Characters);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_allowed_character_and_length() {
        for name in ["a", "A.b_c-9", "x#ephemeral", &"n".repeat(64), &format!("{}#ephemeral", "n".repeat(54))] {
            assert_eq!(TopicName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_what_nsqd_refuses() {
        for name in ["", "a b", "a\n", "é", "#ephemeral", "a#", "a#ephemeral#ephemeral", "a#EPHEMERAL", &"n".repeat(65)]
        {
            assert!(ChannelName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_error_names_the_kind_and_shows_a_bounded_part() {
        let error = TopicName::new("x".repeat(10_000)).unwrap_err().to_string();
        assert!(error.starts_with("topic name \"xxx"), "{error}");
        assert!(error.contains("10000 bytes long"), "{error}");
        assert!(error.len() < 300, "{error}");
    }
}
