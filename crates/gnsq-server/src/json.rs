//! How NSQ's servers write what is not plain JSON: names, `null` for an empty list, and Go's floats.

use serde::{Serialize, Serializer};

/// A float as Go writes it: 1 where Rust has 1.0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoFloat(pub(crate) f64);

impl Serialize for GoFloat {
    #[allow(clippy::cast_possible_truncation, reason = "it is a whole number, and not a large one")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// For `#[serde(serialize_with = "go_float")]`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference to the field")]
pub(crate) fn go_float<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    GoFloat(*number).serialize(serializer)
}

/// For `#[serde(with = "name")]`: a topic or channel name.
pub(crate) mod name {
    use std::fmt::Display;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer, N: AsRef<str>>(name: &N, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_ref())
    }

    pub(crate) fn deserialize<'de, D, N>(deserializer: D) -> Result<N, D::Error>
    where
        D: Deserializer<'de>,
        N: TryFrom<String, Error: Display>,
    {
        String::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// For `#[serde(with = "null_if_empty")]`: Go writes a list that was never filled as `null`.
pub(crate) mod null_if_empty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer, T: Serialize>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        if list.is_empty() { serializer.serialize_none() } else { list.serialize(serializer) }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        Option::deserialize(deserializer).map(Option::unwrap_or_default)
    }
}
