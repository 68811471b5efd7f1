//! Events that anyone may listen to.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;

/// A kind of event, to which functions and streams can be connected. What nobody listens to costs nothing.
///
/// ```
/// use gnsq::Signal;
///
/// let signal = Signal::<u32>::new();
/// let connection = signal.connect(|number| assert_eq!(*number, 7));
/// signal.emit(|| 7);
/// drop(connection);
/// signal.emit(|| unreachable!("nobody listens any more"));
/// ```
pub struct Signal<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    count: AtomicUsize,
    receivers: Mutex<Receivers<T>>,
}

type Receiver<T> = Arc<dyn Fn(&T) + Send + Sync>;

struct Receivers<T> {
    next_id: u64,
    list: Vec<(u64, Receiver<T>)>,
}

impl<T: 'static> Signal<T> {
    /// A signal without receivers.
    pub fn new() -> Self {
        let receivers = Mutex::new(Receivers { next_id: 0, list: Vec::new() });
        Self { inner: Arc::new(Inner { count: AtomicUsize::new(0), receivers }) }
    }

    /// Calls `receiver` at each event until the guard is dropped. It is called where the event happens, often in
    /// the task that does the I/O: it must not block. A panic in it is logged, and harms nobody else.
    pub fn connect(&self, receiver: impl Fn(&T) + Send + Sync + 'static) -> SignalGuard {
        let mut receivers = self.inner.lock();
        let id = receivers.next_id;
        receivers.next_id += 1;
        receivers.list.push((id, Arc::new(receiver)));
        self.inner.count.store(receivers.list.len(), Ordering::Release);
        drop(receivers);
        let inner = Arc::downgrade(&self.inner);
        SignalGuard {
            disconnect: Some(Box::new(move || {
                if let Some(inner) = inner.upgrade() {
                    inner.disconnect(id);
                }
            })),
        }
    }

    /// The events from now on, as a stream. It keeps up to `capacity` of them; those that come while it is full
    /// are left out and [counted](SignalStream::missed).
    pub fn subscribe(&self, capacity: usize) -> SignalStream<T>
    where
        T: Clone + Send + Sync,
    {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let missed = Arc::new(AtomicU64::new(0));
        let counter = missed.clone();
        let guard = self.connect(move |event: &T| {
            if sender.try_send(event.clone()).is_err() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        SignalStream { receiver, missed, _guard: guard }
    }

    /// Whether anyone listens.
    pub fn is_connected(&self) -> bool {
        self.inner.count.load(Ordering::Acquire) > 0
    }

    /// Tells the receivers, if there are any, of the event that `make` makes.
    pub fn emit(&self, make: impl FnOnce() -> T) {
        if !self.is_connected() {
            return;
        }
        // A receiver may connect or disconnect others, so the list isn't locked while they run.
        let receivers: Vec<_> = self.inner.lock().list.iter().map(|(_, receiver)| receiver.clone()).collect();
        let event = make();
        for receiver in receivers {
            // A panic would end the connection, which others share.
            if catch_unwind(AssertUnwindSafe(|| receiver(&event))).is_err() {
                tracing::error!(event = std::any::type_name::<T>(), "a receiver of a signal panicked");
            }
        }
    }
}

impl<T: 'static> Default for Signal<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Signal<T> {
    /// The same signal.
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({} receivers)", self.inner.count.load(Ordering::Relaxed))
    }
}

impl<T> Inner<T> {
    fn disconnect(&self, id: u64) {
        let mut receivers = self.lock();
        receivers.list.retain(|(other, _)| *other != id);
        self.count.store(receivers.list.len(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Receivers<T>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Disconnects a receiver when dropped.
#[must_use = "dropping it disconnects the receiver"]
pub struct SignalGuard {
    disconnect: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl SignalGuard {
    /// Leaves the receiver connected for as long as the signal lives.
    pub fn forget(mut self) {
        self.disconnect = None;
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        if let Some(disconnect) = self.disconnect.take() {
            disconnect();
        }
    }
}

impl fmt::Debug for SignalGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignalGuard")
    }
}

/// The events of a [`Signal`] as a stream.
#[derive(Debug)]
pub struct SignalStream<T> {
    receiver: mpsc::Receiver<T>,
    missed: Arc<AtomicU64>,
    _guard: SignalGuard,
}

impl<T> SignalStream<T> {
    /// Waits for the next event; `None` when the signal is gone.
    pub async fn recv(&mut self) -> Option<T> {
        self.receiver.recv().await
    }

    /// How many events were left out because the stream was full.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl<T> Stream for SignalStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_disconnect_itself_and_connect_others() {
        let signal = Signal::<u32>::new();
        let seen = Arc::new(AtomicU64::new(0));
        let (inner, count) = (signal.clone(), seen.clone());
        let guard = Arc::new(Mutex::new(None));
        let own = guard.clone();
        *guard.lock().unwrap() = Some(signal.connect(move |number| {
            own.lock().unwrap().take();
            let count = count.clone();
            let number = *number;
            let add = move |_: &u32| {
                count.fetch_add(number.into(), Ordering::Relaxed);
            };
            inner.connect(add).forget();
        }));
        signal.emit(|| 5);
        assert_eq!(seen.load(Ordering::Relaxed), 0);
        signal.emit(|| 6);
        assert_eq!(seen.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_full_stream_counts_what_it_leaves_out() {
        let signal = Signal::<u32>::new();
        let mut stream = signal.subscribe(2);
        for number in 0..5 {
            signal.emit(|| number);
        }
        assert_eq!(stream.missed(), 3);
        assert_eq!(stream.receiver.try_recv(), Ok(0));
        assert_eq!(stream.receiver.try_recv(), Ok(1));
        assert!(stream.receiver.try_recv().is_err());
    }
}
