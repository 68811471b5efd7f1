//! What Python publishes, on its way to the one task that carries it out.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use gnsq::{Batch, Error, Producer, PublishOptions, TopicName};
use tokio::runtime::Handle;

use crate::begun::Begun;
use crate::errors::Failure;
use crate::events::EventSender;
use crate::mailbox::Waiter;
use crate::operation::{Completer, Value};
use crate::publish::Promise;
use crate::waiting::{Waitable, Waiters};

/// Filled by Python's threads, emptied by the task: the first submission into an empty queue wakes it. A submission while
/// nothing is outstanding is begun where it is made, unless it is large: that costs no wake-up. Its mutex is locked by
/// Python with the GIL only, so that no fork can find it locked by a thread of Python.
pub(crate) struct Submissions {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    producer: Producer,
    runtime: Handle,
    max_outstanding: usize,
    max_bytes: usize,
}

#[derive(Default)]
pub(crate) struct Queue {
    jobs: Vec<Job>,
    /// Those begun by who submitted them that can go on.
    woken: Vec<Arc<Begun>>,
    /// How many have no outcome yet, and their bytes.
    outstanding: usize,
    bytes: usize,
    /// Who is to be told when there is room again.
    for_room: Waiters,
    phase: Phase,
    /// Who is to be told of the end.
    for_end: Vec<Completer>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Closing,
    Ended,
}

/// One publish.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) topic: TopicName,
    pub(crate) work: Work,
    pub(crate) options: PublishOptions,
    /// What it counts in bytes.
    pub(crate) size: usize,
    pub(crate) promise: Promise,
}

#[derive(Debug)]
pub(crate) enum Work {
    One(Bytes),
    Several(Batch),
}

impl Submissions {
    pub(crate) fn new(producer: Producer, runtime: Handle, max_outstanding: usize, max_bytes: usize) -> Arc<Self> {
        let (queue, waker) = (Mutex::default(), AtomicWaker::new());
        Arc::new(Self { queue, waker, producer, runtime, max_outstanding, max_bytes })
    }

    /// Whether another may be submitted. One that is larger than all the room there is may be, once nothing is
    /// outstanding.
    pub(crate) fn has_room(&self) -> bool {
        self.room_in(&self.lock())
    }

    /// Hands a job to the task; false when it takes nothing any more.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) -> bool {
        let mut queue = self.lock();
        if queue.phase != Phase::Open {
            return false;
        }
        let is_alone = queue.outstanding == 0 && job.size <= HERE_AT_MOST;
        queue.outstanding += 1;
        queue.bytes += job.size;
        if is_alone {
            drop(queue);
            self.begin_here(job);
            return true;
        }
        queue.jobs.push(job);
        let is_first = queue.jobs.len() == 1;
        drop(queue);
        if is_first {
            self.waker.wake();
        }
        true
    }

    /// Begins what nothing comes before on this thread.
    fn begin_here(self: &Arc<Self>, job: Job) {
        // What waits for time does so there.
        let _entered = self.runtime.enter();
        if let Some(done) = Begun::new(publish(self.producer.clone(), job), self).poll() {
            self.finish([done], &mut Vec::new());
        }
    }

    /// Has the task go on with what was begun elsewhere.
    pub(crate) fn go_on(&self, begun: Arc<Begun>) {
        let mut queue = self.lock();
        if queue.phase == Phase::Ended {
            drop(queue);
            return begun.give_up();
        }
        queue.woken.push(begun);
        let is_first = queue.woken.len() == 1;
        drop(queue);
        if is_first {
            self.waker.wake();
        }
    }

    /// Tells of what is done: of all of it at once, so that one wake-up serves many.
    fn finish(&self, ends: impl IntoIterator<Item = Done>, told: &mut Vec<Waiter>) {
        let (mut done, mut bytes) = (0, 0);
        for Done { promise, size, outcome } in ends {
            promise.keep(outcome.map_err(Failure::from), told);
            done += 1;
            bytes += size;
        }
        if done > 0 {
            let for_room = self.give_back(done, bytes);
            Waiter::tell_all(told.drain(..).chain(for_room));
        }
    }

    /// Takes nothing any more, and has the connections closed once what is outstanding is done.
    pub(crate) fn close(&self, done: Option<Completer>) {
        let mut queue = self.lock();
        if queue.phase == Phase::Ended {
            drop(queue);
            if let Some(done) = done {
                done.complete(Ok(Value::None));
            }
            return;
        }
        queue.for_end.extend(done);
        queue.phase = Phase::Closing;
        drop(queue);
        self.waker.wake();
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.lock().outstanding
    }

    fn room_in(&self, queue: &Queue) -> bool {
        queue.outstanding < self.max_outstanding && queue.bytes < self.max_bytes
    }

    /// Gives back the room of what is done. Returns who waits for room, when there is enough for several.
    fn give_back(&self, done: usize, bytes: usize) -> Waiters {
        let mut queue = self.lock();
        queue.outstanding -= done;
        queue.bytes -= bytes;
        if queue.for_room.is_empty() || queue.outstanding > self.max_outstanding / 2 || queue.bytes > self.max_bytes / 2
        {
            return Waiters::default();
        }
        std::mem::take(&mut queue.for_room)
    }

    fn end(&self) {
        let mut queue = self.lock();
        queue.phase = Phase::Ended;
        let (for_room, for_end) = (std::mem::take(&mut queue.for_room), std::mem::take(&mut queue.for_end));
        let (jobs, woken) = (std::mem::take(&mut queue.jobs), std::mem::take(&mut queue.woken));
        drop(queue);
        drop(jobs);
        for begun in woken {
            begun.give_up();
        }
        for_room.into_iter().for_each(Waiter::tell);
        for done in for_end {
            done.complete(Ok(Value::None));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready when there is room, and when there is nothing to wait for any more.
impl Waitable for Submissions {
    type Locked<'a> = MutexGuard<'a, Queue>;

    fn locked(&self) -> Self::Locked<'_> {
        self.lock()
    }

    fn is_ready_in(&self, queue: &Self::Locked<'_>) -> bool {
        queue.phase == Phase::Ended || self.room_in(queue)
    }

    fn waiters<'a>(queue: &'a mut Self::Locked<'_>) -> Option<&'a mut Waiters> {
        Some(&mut queue.for_room)
    }
}

/// Carries out what is submitted, in its order, until it is closed.
pub(crate) async fn carry_out(submissions: Arc<Submissions>, events: EventSender) {
    let _end = End(&submissions, events);
    let producer = &submissions.producer;
    let running = FuturesUnordered::new();
    let mut pump = Pump { submissions: &submissions, running, jobs: Vec::new(), told: Vec::new() };
    let begin = |job| publish(producer.clone(), job);
    poll_fn(|cx| if pump.turn(cx, &begin) == Phase::Open { Poll::Pending } else { Poll::Ready(()) }).await;
    let mut close = pin!(producer.close());
    let mut is_closed = false;
    poll_fn(|cx| {
        // What was submitted before is begun before, and so waited for.
        pump.turn(cx, &begin);
        is_closed = is_closed || close.as_mut().poll(cx).is_ready();
        pump.turn(cx, &begin);
        if submissions.outstanding() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    if !is_closed {
        // nsqd has answered all there was: one that then doesn't close its side has lost nothing.
        let _ = tokio::time::timeout(TIME_TO_CLOSE, close).await;
    }
}

/// Tells of the end, however the task comes to it.
struct End<'a>(&'a Submissions, EventSender);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.1.end(None);
        self.0.end();
    }
}

struct Pump<'a, F> {
    submissions: &'a Submissions,
    running: FuturesUnordered<F>,
    jobs: Vec<Job>,
    told: Vec<Waiter>,
}

/// The end of a publish.
pub(crate) struct Done {
    promise: Promise,
    size: usize,
    outcome: Result<(), Error>,
}

impl<F: Future<Output = Done>> Pump<'_, F> {
    /// Begins what was submitted, goes on with what can, and tells of what is done.
    fn turn(&mut self, cx: &mut Context<'_>, begin: impl Fn(Job) -> F) -> Phase {
        let Self { submissions, running, jobs, told } = self;
        submissions.waker.register(cx.waker());
        let (phase, woken) = {
            let mut queue = submissions.lock();
            std::mem::swap(&mut queue.jobs, jobs);
            (queue.phase, std::mem::take(&mut queue.woken))
        };
        let ended = woken.iter().filter_map(Begun::poll);
        running.extend(jobs.drain(..).map(begin));
        jobs.shrink_to(KEEP_JOBS);
        let others = std::iter::from_fn(|| match running.poll_next_unpin(cx) {
            Poll::Ready(done) => done,
            Poll::Pending => None,
        });
        submissions.finish(ended.chain(others), told);
        phase
    }
}

async fn publish(producer: Producer, job: Job) -> Done {
    let Job { topic, work, options, size, promise } = job;
    // A limit on how much is done in one go would only cut the batches in pieces.
    let outcome = tokio::task::unconstrained(async move {
        match work {
            Work::One(body) => producer.publish_with(topic, body, options).await,
            Work::Several(batch) => producer.multipublish_packed(topic, batch, options).await,
        }
    })
    .await;
    Done { promise, size, outcome }
}

/// How long nsqds may take to close their sides before the producer counts as closed.
const TIME_TO_CLOSE: Duration = Duration::from_secs(1);

/// A larger publish is written by the I/O thread: the others of Python would wait for the copy.
const HERE_AT_MOST: usize = 64 * 1024;

/// How many jobs the task keeps room for.
const KEEP_JOBS: usize = 1024;
