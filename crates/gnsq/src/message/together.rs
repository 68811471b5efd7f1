//! Answers of many messages at once.

use std::sync::atomic::Ordering;

use gnsq_proto::MessageId;

use super::Message;
use crate::connection::Handle;
use crate::moment::Moment;

impl Message {
    /// [Finishes](Self::finish) all of them. The messages of a connection that stand together wake its task once, which
    /// costs a fraction of as many calls of `finish`.
    ///
    /// Returns how many could not be finished, and come again: their time was over, their connection has ended, or they
    /// had been answered.
    ///
    /// ```no_run
    /// # async fn example(mut consumer: gnsq::Consumer) {
    /// let mut batch = Vec::new();
    /// while consumer.recv_many(&mut batch, 100).await > 0 {
    ///     println!("{} messages", batch.len());
    ///     gnsq::Message::finish_all(batch.drain(..));
    /// }
    /// # }
    /// ```
    pub fn finish_all(messages: impl IntoIterator<Item = Self>) -> usize {
        let now = Moment::now();
        let mut unfinished = 0;
        let mut current: Option<Handle> = None;
        let mut ids = Vec::new();
        for message in messages {
            if current.as_ref() != Some(&message.connection)
                && let Some(connection) = current.replace(message.connection.clone())
            {
                unfinished += finish(&connection, &mut ids);
            }
            if message.life().answered.swap(true, Ordering::AcqRel) {
                unfinished += 1;
            } else if message.expired_at(now) {
                message.connection.observer().late_finish();
                unfinished += 1;
            } else {
                ids.push(message.id());
            }
        }
        unfinished + current.map_or(0, |connection| finish(&connection, &mut ids))
    }
}

/// Sends FIN for each, and empties the list; returns how many it could not send.
fn finish(connection: &Handle, ids: &mut Vec<MessageId>) -> usize {
    let sent = ids.is_empty() || connection.finish_all(ids).is_ok();
    let unsent = if sent { 0 } else { ids.len() };
    for id in ids.drain(..).skip(unsent) {
        connection.tell_finished(id);
    }
    unsent
}
