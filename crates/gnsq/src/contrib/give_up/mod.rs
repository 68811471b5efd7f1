//! What becomes of messages that failed too often: handlers for
//! [`ConsumerBuilder::give_up_handler`](crate::ConsumerBuilder::give_up_handler).

mod file;
mod log;
mod record;
mod rotation;
mod topic;

pub use self::file::{FileGiveUp, FileGiveUpBuilder};
pub use self::log::{JsonLogGiveUp, LogGiveUp};
pub use self::topic::TopicGiveUp;
