//! How the servers write what is not plain JSON here: names, ports, durations, and `null` for nothing.

use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with = "null_as_default")]`: Go writes a list that was never filled as `null`.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// For `#[serde(with = "name")]`: a topic or channel name.
pub(super) mod name {
    use std::fmt::Display;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer, N: AsRef<str>>(
        name: &N,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_ref())
    }

    pub(in super::super) fn deserialize<'de, D, N>(deserializer: D) -> Result<N, D::Error>
    where
        D: Deserializer<'de>,
        N: TryFrom<String, Error: Display>,
    {
        String::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// For `#[serde(with = "names")]`: a list of topic or channel names.
pub(super) mod names {
    use std::fmt::Display;

    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S, N>(names: &[N], serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        N: AsRef<str>,
    {
        serializer.collect_seq(names.iter().map(AsRef::as_ref))
    }

    pub(in super::super) fn deserialize<'de, D, N>(deserializer: D) -> Result<Vec<N>, D::Error>
    where
        D: Deserializer<'de>,
        N: TryFrom<String, Error: Display>,
    {
        let names: Vec<String> = super::null_as_default(deserializer)?;
        names.into_iter().map(|name| name.try_into().map_err(D::Error::custom)).collect()
    }
}

/// For `#[serde(default, with = "port")]`: nsqd writes -1 for a port it does not have, as on a Unix socket.
pub(super) mod port {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference to the field")]
    pub(in super::super) fn serialize<S: Serializer>(port: &Option<u16>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(port.map_or(-1, i64::from))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
        let port = Option::<i64>::deserialize(deserializer)?;
        Ok(port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0))
    }
}

/// For `#[serde(default, with = "nanoseconds")]`: a Go duration.
pub(super) mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}
