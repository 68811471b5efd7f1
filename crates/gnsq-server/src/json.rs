//! How NSQ's servers write what is not plain JSON: names, and `null` for an empty list.

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
