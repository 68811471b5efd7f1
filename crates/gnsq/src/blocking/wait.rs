//! Waits on the calling thread for what other threads do.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::runtime::is_shared_thread;

/// Parks the thread until `future` is done. Timers in it belong to `runtime`.
///
/// It may be called within a runtime, also within itself. Only the thread that does the I/O is refused.
pub(super) fn wait<F: Future>(runtime: &Handle, future: F) -> Result<F::Output> {
    if is_shared_thread() {
        return Err(Error::WouldBlock);
    }
    let _entered = runtime.enter();
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(true) });
    let waker = Waker::from(parked.clone());
    let mut context = Context::from_waker(&waker);
    // The task that this may be called in has a budget of wake-ups, which is not refilled while it waits here.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        while !parked.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
    }
}

/// A thread that waits. Its own flag tells it from another wait of the same thread, around this one, whose wake-up
/// this one may take.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::sync::oneshot;

    use super::*;
    use crate::runtime::Io;

    #[test]
    fn a_wait_within_a_wait_leaves_the_outer_ones_wake_up() {
        let runtime = Io::Dedicated.handle().unwrap();
        for _ in 0..200 {
            let (outer, inner) = (oneshot::channel(), oneshot::channel());
            let sender = thread::spawn(move || {
                outer.0.send(1).unwrap();
                inner.0.send(2).unwrap();
            });
            let both = async {
                let mut first = pin!(outer.1);
                let first_polled = futures_util::poll!(first.as_mut());
                let second = wait(&runtime, inner.1).unwrap().unwrap();
                let first = match first_polled {
                    Poll::Ready(first) => first.unwrap(),
                    Poll::Pending => first.await.unwrap(),
                };
                (first, second)
            };
            assert_eq!(wait(&runtime, both).unwrap(), (1, 2));
            sender.join().unwrap();
        }
    }

    /// A task may make some hundred operations of tokio's before it has to yield, which it can't from in here.
    #[tokio::test]
    async fn it_never_yields_in_vain_inside_a_task() {
        let runtime = Io::Dedicated.handle().unwrap();
        let semaphore = Semaphore::new(1);
        for _ in 0..10_000 {
            drop(wait(&runtime, semaphore.acquire()).unwrap().unwrap());
        }
    }

    #[test]
    fn a_timer_runs_where_there_is_no_runtime() {
        let runtime = Io::Dedicated.handle().unwrap();
        wait(&runtime, async { tokio::time::sleep(Duration::from_millis(1)).await }).unwrap();
    }

    #[test]
    fn the_thread_that_does_the_io_is_refused() {
        let runtime = Io::Dedicated.handle().unwrap();
        let there = runtime.clone();
        let task = runtime.spawn(async move { wait(&there, std::future::ready(())) });
        let refused = wait(&runtime, task).unwrap().unwrap();
        assert!(matches!(refused, Err(Error::WouldBlock)), "{refused:?}");
    }
}
