//! `gnsq nsqd`, `gnsq nsqlookupd` and `gnsq dev`: NSQ's servers, in memory.

pub(crate) mod dev;
pub(crate) mod flags;
mod log;
pub(crate) mod nsqd;
pub(crate) mod nsqlookupd;
mod run;
pub(crate) mod value;

pub(crate) use self::run::{Daemon, run};
