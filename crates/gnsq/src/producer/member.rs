//! One nsqd of a producer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gnsq_proto::TopicName;
use gnsq_proto::connection::ConnectionError;

use super::breaker::{Breaker, BreakerState, Change};
use super::report::NsqdStats;
use super::routing::stable_hash;
use crate::address::Address;
use crate::connection::Handle;
use crate::error::Error;
use crate::moment::Moment;

/// An nsqd, its connection, and how well it does.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: Address,
    /// Where its keys are, for rendezvous hashing.
    pub(super) hash: u64,
    pub(super) connection: Option<Handle>,
    /// Named by the user: it stays.
    pub(super) named: bool,
    /// Found by nsqlookupd, now.
    pub(super) listed: bool,
    /// Topics that are on their way out there.
    pub(super) tombstoned: BTreeSet<TopicName>,
    breaker: Breaker,
    /// How many publishes the connection had answered when that was last a success for the breaker.
    answered: u64,
    stalled: bool,
}

/// Why an nsqd isn't used while others can be: the least of them is used if there is none without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flaws(u8);

impl Flaws {
    pub(super) const NONE: Self = Self(0);
    const FAILING: u8 = 1;
    const STALLED: u8 = 2;
    const TOMBSTONED: u8 = 4;
}

/// What is to be told of an nsqd, once no lock is held: who listens to the log may publish what is told there.
#[derive(Debug)]
pub(super) struct Notice {
    nsqd: Address,
    news: News,
}

#[derive(Debug)]
enum News {
    Opened { wait: Duration, cause: Error },
    Closed,
    Stalled,
    Answers,
}

impl Notice {
    pub(super) fn log(&self) {
        let Self { nsqd, news } = self;
        match news {
            News::Opened { wait, cause } => {
                tracing::warn!(%nsqd, ?wait, error = %cause, "publishes fail again and again: leaving nsqd alone");
            }
            News::Closed => tracing::info!(%nsqd, "a publish has succeeded: using nsqd again"),
            News::Stalled => tracing::warn!(%nsqd, "nsqd answers no publish: leaving it alone until it does"),
            News::Answers => tracing::info!(%nsqd, "nsqd answers publishes again"),
        }
    }
}

impl Member {
    pub(super) fn new(address: Address, named: bool, breaker_failures: u32) -> Self {
        Self {
            hash: stable_hash(address.to_string().as_bytes()),
            address,
            connection: None,
            named,
            listed: !named,
            tombstoned: BTreeSet::new(),
            breaker: Breaker::new(breaker_failures),
            answered: 0,
            stalled: false,
        }
    }

    /// Its connection, unless that has ended.
    pub(super) fn live(&self) -> Option<&Handle> {
        self.connection.as_ref().filter(|connection| !connection.has_ended())
    }

    /// What speaks against a publish to it, on a connection that lives.
    pub(super) fn flaws(
        &mut self,
        topic: &TopicName,
        stall_timeout: Option<Duration>,
        now: Instant,
        notices: &mut Vec<Notice>,
    ) -> Flaws {
        self.look(stall_timeout, now, notices);
        let mut flaws = 0;
        if !self.breaker.admits(now) {
            flaws |= Flaws::FAILING;
        }
        if self.stalled {
            flaws |= Flaws::STALLED;
        }
        if self.tombstoned.contains(topic) {
            flaws |= Flaws::TOMBSTONED;
        }
        Flaws(flaws)
    }

    /// A publish goes there.
    pub(super) fn begin(&mut self, now: Instant) {
        self.breaker.begin(now);
    }

    pub(super) fn up(&mut self, connection: Handle) {
        self.connection = Some(connection);
        self.answered = 0;
        self.stalled = false;
    }

    /// Its connection has ended.
    pub(super) fn down(&mut self, cause: &Error, now: Instant, rng: &mut fastrand::Rng, notices: &mut Vec<Notice>) {
        let Some(connection) = self.connection.take() else { return };
        self.count_successes(connection.load().publishes_answered(), notices);
        self.stalled = false;
        // The driver has told everyone by now, and left the count as it was.
        let load = connection.load();
        let had_publishes = load.publishes() > 0 || load.due_since().is_some();
        if !is_its_fault(cause) {
            self.breaker.on_no_verdict(now);
        } else if (had_publishes || self.breaker.state() == BreakerState::HalfOpen)
            && let Some(Change::Opened { wait }) = self.breaker.on_failure(now, rng)
        {
            notices.push(self.notice(News::Opened { wait, cause: cause.clone() }));
        }
    }

    pub(super) fn stats(
        &mut self,
        stall_timeout: Option<Duration>,
        now: Instant,
        notices: &mut Vec<Notice>,
    ) -> NsqdStats {
        self.look(stall_timeout, now, notices);
        let live = self.live();
        NsqdStats {
            address: self.address.clone(),
            connected: live.is_some(),
            outstanding: live.map_or(0, |connection| connection.load().publishes() as usize),
            breaker: self.breaker.state(),
            stalled: self.stalled,
        }
    }

    /// Takes note of what its connection has done meanwhile.
    fn look(&mut self, stall_timeout: Option<Duration>, now: Instant, notices: &mut Vec<Notice>) {
        let Some(connection) = &self.connection else { return };
        let (answered, since) = (connection.load().publishes_answered(), connection.load().due_since());
        self.count_successes(answered, notices);
        let waits = since.map(|since| Moment::from(now).since(since));
        let stalled = waits.zip(stall_timeout).is_some_and(|(waits, timeout)| waits > timeout);
        if stalled != self.stalled {
            self.stalled = stalled;
            notices.push(self.notice(if stalled { News::Stalled } else { News::Answers }));
        }
    }

    fn count_successes(&mut self, answered: u64, notices: &mut Vec<Notice>) {
        if answered == self.answered {
            return;
        }
        self.answered = answered;
        if self.breaker.on_success() == Some(Change::Closed) {
            notices.push(self.notice(News::Closed));
        }
    }

    fn notice(&self, news: News) -> Notice {
        Notice { nsqd: self.address.clone(), news }
    }
}

/// Whether the end of a connection tells something about its nsqd, rather than about what was published.
fn is_its_fault(cause: &Error) -> bool {
    match cause {
        Error::Closed => false,
        Error::Connection { source: ConnectionError::Server(error), .. } => error.code().is_retryable(),
        _ => true,
    }
}
