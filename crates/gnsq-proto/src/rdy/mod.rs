//! Who may be sent how many messages.
//!
//! RDY is the ceiling nsqd keeps to for what is in flight on one connection. Two things decide it:
//!
//! - [`RdyPlan`], one a consumer, divides `max_in_flight` over the connections. Each gets a *share*, the most
//!   its RDY may be.
//! - [`ReadyWindow`], one a connection, picks the RDY that is sent: at most the share, and no more than what is
//!   of use, because nsqd holds back messages of a connection that has room to spare.

mod fair;
mod member;
mod plan;
mod settings;
mod turns;
mod window;

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod window_tests;

pub use plan::{Demand, RdyPlan};
pub use settings::RdySettings;
pub use window::ReadyWindow;

use std::time::Instant;

/// A connection's name in an [`RdyPlan`]: whatever its owner numbers connections by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What a connection tells its consumer's [`RdyPlan`]: [`ReadyWindow::facts`] and [`ReadyWindow::poll_report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Messages received and not answered yet.
    pub in_flight: u32,
    /// The most messages that it had at once lately, and when: what it makes use of.
    pub most_in_flight: u32,
    /// When it had them; `None` before the first message.
    pub most_at: Option<Instant>,
    /// When the last message came.
    pub last_message: Option<Instant>,
    /// Whether the share kept it from taking more since the last report.
    pub hungry: bool,
}

/// A connection's new share: the most its RDY may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareChange {
    /// Whose share it is.
    pub id: ConnectionId,
    /// Messages; 0 means none may be sent.
    pub share: u32,
}
