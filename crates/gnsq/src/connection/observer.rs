//! What a connection tells: its owner, and whoever listens to the owner's signals.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use gnsq_proto::{AuthResponse, Command, Frame, MessageId, ServerError};

use super::Handle;
use super::op::Failure;
use crate::error::Error;
use crate::events::{
    AuthEvent, CloseEvent, ErrorEvent, FinishEvent, MessageEvent, RequeueEvent, ResponseEvent, Signals,
};
use crate::message::Message;
use crate::trace::message_event;

/// The owner of a connection: a consumer, a producer, a low-level client. None of these may block.
pub(crate) trait Observer: Debug + Send + Sync + 'static {
    /// The signals by which others learn what the owner learns here.
    fn signals(&self) -> &Signals;

    /// Whether the owner says itself what is sent, and takes all that comes as [`frame`](Self::frame)s.
    fn takes_frames(&self) -> bool {
        false
    }

    /// nsqd sent this.
    fn frame(&self, frame: Frame) {
        drop(frame);
    }

    /// Messages have arrived; takes them all. One that is dropped is requeued.
    fn messages(&self, batch: &mut Vec<Message>) {
        batch.clear();
    }

    /// A connection could take more than its share allows, or what it had beyond its share has been answered: its
    /// facts are worth a look.
    fn attention(&self) {}

    /// A message was finished, and FIN is on its way.
    fn finished(&self) {}

    /// A message was requeued, and REQ is on its way. `backoff`: it counts as a failure.
    fn requeued(&self, backoff: bool) {
        let _ = backoff;
    }

    /// A finish came too late by this side's clock, and was not sent.
    fn late_finish(&self) {}

    /// nsqd refused something: a FIN, REQ or TOUCH that came too late, or what ends the connection.
    fn error(&self, error: &ServerError) {
        let _ = error;
    }

    /// A message's time ran out before it was answered.
    fn expired(&self) {}

    /// So many messages were sent with one command, since they came or waited together.
    fn batched(&self, messages: usize) {
        let _ = messages;
    }

    /// A publish ends without nsqd's confirmation. Its owner may keep what was to be published; otherwise who asked for it
    /// gets it back. `after`: the time that it was given.
    fn undelivered(
        &self,
        connection: &Handle,
        command: Command,
        failure: &Failure,
        after: Duration,
    ) -> Option<Command> {
        let _ = (connection, failure, after);
        Some(command)
    }

    /// The connection has ended.
    fn closed(&self) {}
}

impl Handle {
    pub(super) fn tell_messages(&self, batch: &mut Vec<Message>) {
        if tracing::enabled!(target: "gnsq::message", tracing::Level::TRACE) {
            for message in &*batch {
                let size = message.body().len();
                message_event!(TRACE, self, message.id(), attempts = message.attempts(), size, "message received");
            }
        }
        let on_message = &self.observer().signals().on_message;
        if on_message.is_connected() {
            for message in &*batch {
                on_message.emit(|| MessageEvent::new(message));
            }
        }
        self.meter().received.add(batch.len() as u64);
        self.observer().messages(batch);
    }

    pub(crate) fn tell_finished(&self, id: MessageId) {
        message_event!(TRACE, self, id, "message finished");
        self.meter().finished.add(1);
        self.observer().finished();
        let on_finish = &self.observer().signals().on_finish;
        if on_finish.is_connected()
            && let Some(topic) = self.topic()
        {
            on_finish.emit(|| FinishEvent { nsqd: self.address().clone(), topic: topic.clone(), id });
        }
    }

    pub(crate) fn tell_requeued(&self, id: MessageId, delay: Duration, backoff: bool) {
        message_event!(TRACE, self, id, ?delay, backoff, "message requeued");
        self.meter().requeued.add(1);
        self.observer().requeued(backoff);
        let on_requeue = &self.observer().signals().on_requeue;
        if on_requeue.is_connected()
            && let Some(topic) = self.topic()
        {
            let event = || RequeueEvent { nsqd: self.address().clone(), topic: topic.clone(), id, delay, backoff };
            on_requeue.emit(event);
        }
    }

    pub(crate) fn tell_touched(&self, id: MessageId) {
        message_event!(TRACE, self, id, "message touched");
    }

    pub(super) fn tell_response(&self, data: &Bytes) {
        let event = || ResponseEvent { nsqd: self.address().clone(), data: data.clone() };
        self.observer().signals().on_response.emit(event);
    }

    pub(super) fn tell_auth(&self, response: &AuthResponse) {
        let event = || AuthEvent { nsqd: self.address().clone(), response: response.clone() };
        self.observer().signals().on_auth.emit(event);
    }

    pub(super) fn tell_error(&self, error: &ServerError) {
        if !error.is_fatal() {
            if let Some(id) = error.message_id() {
                message_event!(DEBUG, self, id, %error, "an answer came too late for nsqd");
            }
            self.meter().too_late.add(1);
        }
        self.observer().error(error);
        let event = || ErrorEvent { nsqd: self.address().clone(), topic: self.topic().cloned(), error: error.clone() };
        self.observer().signals().on_error.emit(event);
    }

    pub(super) fn tell_expired(&self, id: MessageId) {
        message_event!(DEBUG, self, id, "message timed out unanswered");
        self.meter().expired.add(1);
        self.observer().expired();
    }

    pub(super) fn tell_closed(&self, cause: &Error) {
        self.observer().closed();
        let event = || CloseEvent { nsqd: self.address().clone(), topic: self.topic().cloned(), cause: cause.clone() };
        self.observer().signals().on_close.emit(event);
    }
}
