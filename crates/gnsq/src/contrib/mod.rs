//! What is often built on top of a consumer: batches, a queue for several tasks, what becomes of messages that failed too
//! often, and reports of failures.
//!
//! | type | what for |
//! |---|---|
//! | [`BatchHandler`] | works on many messages at once: one transaction, one request |
//! | [`MessageQueue`] | tasks that take messages when they like |
//! | [`LogGiveUp`], [`JsonLogGiveUp`], [`TopicGiveUp`], [`FileGiveUp`] | keeps messages that are given up |
//! | [`report_errors`] | tells an error tracker what failed, on which message |

mod batch;
mod give_up;
mod queue;
mod report;

pub use self::batch::BatchHandler;
pub use self::give_up::{FileGiveUp, FileGiveUpBuilder, JsonLogGiveUp, LogGiveUp, TopicGiveUp};
pub use self::queue::{MessageQueue, TakeError};
pub use self::report::{ErrorReport, Failure, Reporting, report_errors};
pub use crate::consumer::BatchOutcome;
