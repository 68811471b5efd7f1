//! Reports of failures, for an error tracker.

use std::sync::Arc;

use gnsq_proto::ChannelName;

use crate::consumer::ConsumerHandle;
use crate::event::SignalGuard;
use crate::events::{HandlerError, MessageEvent};

/// A failure, and all that tells where it happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ErrorReport {
    /// The channel that the consumer takes messages from.
    pub channel: ChannelName,
    /// The message.
    pub message: MessageEvent,
    /// What failed.
    pub failure: Failure,
}

/// What failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Failure {
    /// A handler returned this error, or panicked with this text. The message is tried again.
    Handler(Arc<HandlerError>),
    /// The message has had all its attempts, and is about to be given up.
    GivenUp,
}

/// Reports until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the reports"]
pub struct Reporting {
    guards: [SignalGuard; 2],
}

impl Reporting {
    /// Reports for as long as the consumer lives.
    pub fn forget(self) {
        self.guards.into_iter().for_each(SignalGuard::forget);
    }
}

/// Calls `report` with each failure of a consumer's handler and each message that is given up, whichever way its messages
/// are handled. It joins `on_exception` and `on_giving_up` of the consumer's [signals](ConsumerHandle::signals), and adds
/// the channel. A handler that asks for a [`Requeue`](crate::Requeue) is no failure.
///
/// `report` is called where the failure happens, and must not block. `examples/sentry.rs` sends them to Sentry.
///
/// ```no_run
/// # fn example(consumer: gnsq::Consumer) {
/// use gnsq::contrib::{Failure, report_errors};
///
/// let reporting = report_errors(consumer.handle(), |report| match &report.failure {
///     Failure::Handler(error) => println!("{} failed: {error}", report.message.id),
///     _ => println!("{} is given up", report.message.id),
/// });
/// reporting.forget();
/// # }
/// ```
pub fn report_errors(handle: &ConsumerHandle, report: impl Fn(&ErrorReport) + Send + Sync + 'static) -> Reporting {
    let channel = handle.channel().clone();
    let report = Arc::new(move |message: &MessageEvent, failure| {
        report(&ErrorReport { channel: channel.clone(), message: message.clone(), failure });
    });
    let signals = handle.signals();
    let exceptions = report.clone();
    Reporting {
        guards: [
            signals.on_exception.connect(move |event| {
                exceptions(&event.message, Failure::Handler(event.error.clone()));
            }),
            signals.on_giving_up.connect(move |message| report(message, Failure::GivenUp)),
        ],
    }
}
