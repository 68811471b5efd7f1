//! NSQ's wire protocol and the policies of a client, without sockets, clocks or randomness of their own.
//!
//! - [`command`] and [`frame`]: what goes each way between a client and nsqd, encoded and decoded in both directions;
//!   [`lookupd`]: the same for an nsqd and nsqlookupd.
//! - [`connection`]: one client connection as a state machine that is given bytes and the time.
//! - [`rdy`]: who may be sent how many messages; [`backoff`]: when a failing consumer slows down, and by how much.
//! - `compress`, with the features `snappy` and `deflate`: how bytes travel compressed.
//! - [`name`], [`message`], [`identify`], [`auth`], [`error`], [`limits`]: the nouns.
//!
//! The crate `gnsq` makes a client of it.

pub mod auth;
pub mod backoff;
pub mod command;
#[cfg(any(feature = "snappy", feature = "deflate"))]
pub mod compress;
pub mod connection;
pub mod error;
pub mod frame;
pub mod identify;
pub mod limits;
pub mod lookupd;
pub mod message;
pub mod name;
mod outgoing;
pub mod rdy;
mod secret;

pub use auth::AuthResponse;
pub use backoff::{Backoff, BackoffStrategy, BackoffTimer, ExponentialBackoff, Phase};
pub use command::Command;
pub use connection::Connection;
pub use error::{ErrorCode, ServerError};
pub use frame::Frame;
pub use identify::{Difference, IdentifyRequest, IdentifyResponse};
pub use limits::{LimitError, PublishLimits};
pub use message::{MessageFrame, MessageId};
pub use name::{ChannelName, NameError, TopicName};
pub use outgoing::Outgoing;
pub use rdy::{ConnectionId, Demand, Facts, RdyPlan, RdySettings, ReadyWindow, ShareChange};
pub use secret::Secret;
