//! The time at the beginning of a body: who receives it knows how long it was under way, in whatever process.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::options::Options;

/// The work's body, with the time.
pub(crate) fn stamped(options: &Options) -> Vec<u8> {
    let mut body = options.bodies[0].to_vec();
    stamp(&mut body);
    body
}

/// Writes the time into a body, which has room for it.
pub(crate) fn stamp(body: &mut [u8]) {
    *body.first_chunk_mut().expect("a body has room for its time") = nanos().to_ne_bytes();
}

/// How long ago the body was stamped.
pub(crate) fn age(body: &[u8]) -> Duration {
    let sent = u64::from_ne_bytes(*body.first_chunk().expect("it says when it was sent"));
    Duration::from_nanos(nanos().saturating_sub(sent))
}

/// The time of the whole machine: the same in all processes.
fn nanos() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}
