//! The servers as one cluster.

mod discover;

pub(crate) use self::discover::{ask_all, nodes};
