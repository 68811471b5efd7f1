//! Answers whose effect is known.

use std::time::{Duration, Instant};

use super::Message;
use crate::connection::Answer;
use crate::error::{Error, Result};
use crate::moment::Moment;

/// NSQ has no receipt for these commands. To know what became of one, a TOUCH of a message that can't be follows it:
/// nsqd refuses that at once, and has then carried out, or refused, what came before. That costs a round trip, and a
/// line in nsqd's log that names the message `--gnsq-confirm--`, once for all that was asked together.
impl Message {
    /// As [`finish`](Self::finish), but waits until nsqd has forgotten the message: it is not delivered again.
    ///
    /// Once it was polled, to drop the future cancels nothing.
    ///
    /// ```no_run
    /// # async fn example(message: gnsq::Message) -> gnsq::Result<()> {
    /// match message.finish_confirmed().await {
    ///     Ok(()) => println!("done, once and for all"),
    ///     Err(error) if error.outcome_unknown() => println!("perhaps it comes again: {error}"),
    ///     Err(error) => println!("it comes again: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish); [`Error::Refused`] when nsqd has given the message to someone else before;
    /// [`Error::Lost`] when the connection ends before it is known, and [`Error::Timeout`] when that takes longer than
    /// the [answer timeout](crate::ConnectionConfig::answer_timeout).
    pub async fn finish_confirmed(self) -> Result<()> {
        self.begin_finish()?;
        let confirmed = self.connection.confirm(Answer::Finish(self.id()))?;
        self.connection.tell_finished(self.id());
        drop(self);
        confirmed.await
    }

    /// As [`requeue`](Self::requeue), but waits until nsqd has taken the message back.
    ///
    /// Once it was polled, to drop the future cancels nothing.
    ///
    /// # Errors
    ///
    /// As [`finish_confirmed`](Self::finish_confirmed).
    pub async fn requeue_confirmed(self, delay: Duration) -> Result<()> {
        self.begin_answer()?;
        let confirmed = self.connection.confirm(Answer::Requeue(self.id(), delay))?;
        self.connection.tell_requeued(self.id(), delay, true);
        drop(self);
        confirmed.await
    }

    /// As [`touch`](Self::touch), but waits until nsqd has granted the time. A message that it refuses to
    /// has [expired](Self::is_expired).
    ///
    /// # Errors
    ///
    /// As [`finish_confirmed`](Self::finish_confirmed).
    pub async fn touch_confirmed(&self) -> Result<()> {
        let now = Instant::now();
        if self.expired_at(now) {
            return Err(Error::Expired { id: self.id() });
        }
        let confirmed = self.connection.confirm(Answer::Touch(self.id()))?;
        self.connection.tell_touched(self.id());
        self.life().extend(&self.connection, now);
        let result = confirmed.await;
        if matches!(result, Err(Error::Refused { .. })) {
            self.life().end(Moment::now());
        }
        result
    }
}
