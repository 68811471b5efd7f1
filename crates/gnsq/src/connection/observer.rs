//! What a connection tells its owner.

use std::fmt::Debug;
use std::time::Duration;

use gnsq_proto::{MessageId, ServerError};

use super::Handle;
use crate::error::Error;
use crate::message::Message;

/// The owner of a connection: a consumer, a producer, a low-level client. None of these may block.
pub(crate) trait Observer: Debug + Send + Sync + 'static {
    /// Messages have arrived; takes them all. One that is dropped is requeued.
    fn messages(&self, connection: &Handle, batch: &mut Vec<Message>) {
        let _ = connection;
        batch.clear();
    }

    /// The connection could take more than its share allows, or what it had beyond its share has been answered:
    /// its facts are worth a look.
    fn attention(&self, connection: &Handle) {
        let _ = connection;
    }

    /// A message was finished, and FIN is on its way.
    fn finished(&self, connection: &Handle, id: MessageId) {
        let _ = (connection, id);
    }

    /// A message was requeued, and REQ is on its way. `backoff`: it counts as a failure.
    fn requeued(&self, connection: &Handle, id: MessageId, delay: Duration, backoff: bool) {
        let _ = (connection, id, delay, backoff);
    }

    /// An answer that came, other than to a publish.
    fn response(&self, connection: &Handle, data: &[u8]) {
        let _ = (connection, data);
    }

    /// nsqd refused something: a FIN, REQ or TOUCH that came too late, or what ends the connection.
    fn error(&self, connection: &Handle, error: &ServerError) {
        let _ = (connection, error);
    }

    /// A message's time ran out before it was answered.
    fn expired(&self, connection: &Handle, id: MessageId) {
        let _ = (connection, id);
    }

    /// The connection has ended.
    fn closed(&self, connection: &Handle, cause: &Error) {
        let _ = (connection, cause);
    }
}
