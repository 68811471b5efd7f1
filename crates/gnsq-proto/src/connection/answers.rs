//! Who waits for which answer, in the order in which nsqd will give them.

use std::collections::VecDeque;
use std::time::Instant;

use super::error::Loss;
use super::upgrade::Upgrade;
use crate::error::{ErrorCode, ServerError};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Identify,
    Upgrade(Upgrade),
    Auth,
    Sub,
    Publish,
    Close,
    /// A command that the user has written, and whatever answers it.
    Anything,
}

impl Asked {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Identify => "IDENTIFY",
            Self::Upgrade(upgrade) => upgrade.name(),
            Self::Auth => "AUTH",
            Self::Sub => "SUB",
            Self::Publish => "a publish",
            Self::Close => "CLS",
            Self::Anything => "a command",
        }
    }
}

/// One open question. Its waiter leaves when it has waited too long; the place in the queue stays.
#[derive(Debug)]
pub(super) struct Answer<W> {
    pub(super) asked: Asked,
    pub(super) waiter: Option<W>,
    pub(super) deadline: Option<Instant>,
    /// Where the command ends in the stream of sent bytes.
    pub(super) end: u64,
}

#[derive(Debug)]
pub(super) struct Answers<W> {
    queue: VecDeque<Answer<W>>,
    /// No deadline is earlier than this. Kept as a bound, so that neither asking nor answering has to search.
    earliest: Option<Instant>,
}

impl<W> Answers<W> {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), earliest: None }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, answer: Answer<W>) {
        if let Some(deadline) = answer.deadline {
            self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        }
        self.queue.push_back(answer);
    }

    pub(super) fn front(&self) -> Option<Asked> {
        self.queue.front().map(|answer| answer.asked)
    }

    /// The oldest question turns into another one, for the same waiter.
    pub(super) fn set_front(&mut self, asked: Asked) {
        if let Some(front) = self.queue.front_mut() {
            front.asked = asked;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Answer<W>> {
        let answer = self.queue.pop_front();
        if self.queue.is_empty() {
            self.earliest = None;
        }
        answer
    }

    pub(super) fn waiters_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.queue.iter_mut().filter_map(|answer| answer.waiter.as_mut())
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.earliest
    }

    /// Takes out the waiters whose deadline has passed, each with the position where its command ends.
    pub(super) fn time_out(&mut self, now: Instant) -> Vec<(W, u64)> {
        let mut late = Vec::new();
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return late;
        }
        self.earliest = None;
        for answer in &mut self.queue {
            match answer.deadline {
                Some(deadline) if deadline <= now => {
                    answer.deadline = None;
                    late.extend(answer.waiter.take().map(|waiter| (waiter, answer.end)));
                }
                Some(deadline) => {
                    self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
                }
                None => {}
            }
        }
        late
    }

    /// Empties the queue of a connection that has ended, of whose bytes `sent` have gone out.
    pub(super) fn fail(&mut self, error: Option<&ServerError>, sent: u64) -> Vec<(W, Loss)> {
        let mut losses = Vec::with_capacity(self.queue.len());
        for (index, answer) in self.queue.drain(..).enumerate() {
            let Some(waiter) = answer.waiter else { continue };
            let loss = match error {
                Some(error) if index == 0 => Loss::Refused(error.clone()),
                // nsqd takes one command after the other and reads no further after a fatal error.
                Some(error) if !matches!(error.code(), ErrorCode::Other(_)) => Loss::NotSent,
                _ if answer.end > sent => Loss::NotSent,
                _ => Loss::Unknown,
            };
            losses.push((waiter, loss));
        }
        self.earliest = None;
        losses
    }
}
