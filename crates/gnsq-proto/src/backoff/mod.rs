//! When something that fails slows down, and by how much.
//!
//! - [`BackoffTimer`] counts one thing's failures and gives the wait before the next try: reconnects, lookups.
//! - [`Backoff`] is the state machine of a whole consumer whose handlers fail.
//! - [`BackoffStrategy`] is the part of it that a user can replace; [`ExponentialBackoff`] is the default.

mod machine;
mod strategy;
mod timer;

pub use machine::{Backoff, Phase};
pub use strategy::{BackoffStrategy, ExponentialBackoff};
pub use timer::BackoffTimer;
