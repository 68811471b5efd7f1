//! Servers that programs without async can talk to.

use std::convert::Infallible;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gnsq::blocking::{Consumer, Producer};
use gnsq::http::{ChannelStats, StatsOptions};
use gnsq::{Address, ConsumerBuilder, Message, NsqdHttpClient};
use gnsq_testkit::{DEADLINE, eventually};
use tokio::runtime::Runtime;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const CHANNEL: &str = "billing";

/// An nsqd, with the runtime that it or its logs need. It must be made and dropped outside of one.
pub(crate) struct Server {
    nsqd: Nsqd,
    runtime: Runtime,
}

enum Nsqd {
    Real(gnsq_testkit::Nsqd),
    Embedded(gnsq_server::Nsqd),
}

impl Server {
    pub(crate) fn real() -> Self {
        let runtime = Runtime::new().unwrap();
        let nsqd = Nsqd::Real(runtime.block_on(gnsq_testkit::Nsqd::start()));
        Self { nsqd, runtime }
    }

    pub(crate) fn embedded() -> Self {
        let runtime = Runtime::new().unwrap();
        let nsqd = Nsqd::Embedded(runtime.block_on(gnsq_server::Nsqd::start()).unwrap());
        Self { nsqd, runtime }
    }

    pub(crate) fn both() -> [Self; 2] {
        [Self::real(), Self::embedded()]
    }

    pub(crate) fn address(&self) -> Address {
        match &self.nsqd {
            Nsqd::Real(nsqd) => nsqd.tcp_address().into(),
            Nsqd::Embedded(nsqd) => nsqd.tcp_address().parse().unwrap(),
        }
    }

    pub(crate) fn http_url(&self) -> String {
        match &self.nsqd {
            Nsqd::Real(nsqd) => nsqd.http_url(),
            Nsqd::Embedded(nsqd) => nsqd.http_url(),
        }
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::builder().nsqd(self.address()).publish_timeout(DEADLINE).build_blocking().unwrap()
    }

    /// A consumer of the tests' topic and channel, which gives up nothing and tries again at once.
    pub(crate) fn consumer(&self) -> ConsumerBuilder {
        Consumer::builder(TOPIC, CHANNEL)
            .nsqd(self.address())
            .max_attempts(0)
            .requeue_delay(Duration::ZERO)
            .max_backoff(Duration::ZERO)
            .shutdown_timeout(DEADLINE)
    }

    /// Waits until the channel's statistics are like this.
    pub(crate) fn wait_for(&self, what: &str, mut is_so: impl FnMut(&ChannelStats) -> bool) {
        let client = NsqdHttpClient::new(self.http_url()).unwrap();
        self.runtime.block_on(eventually(DEADLINE, what, async || {
            let stats = client.stats(&StatsOptions::new()).await.unwrap();
            let topic = stats.topics.into_iter().find(|topic| topic.topic_name.as_str() == TOPIC)?;
            let channel = topic.channels.into_iter().find(|channel| channel.channel_name.as_str() == CHANNEL)?;
            is_so(&channel).then_some(())
        }));
    }

    pub(crate) fn wait_until_empty(&self) {
        self.wait_for("an empty channel", |channel| {
            (channel.depth, channel.in_flight_count, channel.deferred_count) == (0, 0, 0)
        });
    }
}

/// Runs `work` in a thread of its own, for [`within`].
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (alive, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _alive = alive;
        work()
    });
    Running { thread, ended }
}

/// A thread that can be waited for with an end.
pub(crate) struct Running<T> {
    thread: JoinHandle<T>,
    ended: mpsc::Receiver<Infallible>,
}

impl<T> Running<T> {
    /// Waits for what the thread brings; fails the test when it takes too long.
    #[track_caller]
    pub(crate) fn join(self) -> T {
        let ended = self.ended.recv_timeout(DEADLINE);
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "waited {DEADLINE:?} in vain");
        self.thread.join().unwrap()
    }
}

/// Runs `work` in another thread, and waits for it; fails the test when it takes too long.
#[track_caller]
pub(crate) fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(work).join()
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}
