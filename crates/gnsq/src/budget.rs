//! How much may be outstanding at once, and what was begun before a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify, Semaphore};

/// A bound on commands without an answer, by count and by bytes. Who comes when it is used up waits, in order.
#[derive(Debug)]
pub(crate) struct Budget {
    count: Semaphore,
    bytes: Semaphore,
    max_count: u32,
    max_bytes: u32,
    begun: Begun,
}

/// Something that has begun, and holds a part of the budget once it was given room. Dropped, it has ended and gives the
/// room back.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    generation: usize,
    room: Option<u32>,
}

/// Room for one command, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    budget: &'a Budget,
    bytes: u32,
}

impl Budget {
    pub(crate) fn new(max_count: u32, max_bytes: u32) -> Arc<Self> {
        Arc::new(Self {
            count: Semaphore::new(max_count as usize),
            bytes: Semaphore::new(max_bytes as usize),
            max_count,
            max_bytes,
            begun: Begun::default(),
        })
    }

    /// Begins something that will need room.
    pub(crate) fn begin(self: &Arc<Self>) -> Permit {
        Permit { budget: self.clone(), generation: self.begun.enter(), room: None }
    }

    /// Begins something, and waits for room.
    pub(crate) async fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        let mut permit = self.begin();
        permit.fill(self.wait_for_room(bytes).await);
        permit
    }

    /// Waits for room. More bytes than there are in all take the whole budget, so that they can go out at all.
    pub(crate) async fn wait_for_room(&self, bytes: usize) -> Room<'_> {
        let bytes = self.counted(bytes);
        // The semaphores are never closed, so acquiring can't fail; a permit forgotten is added back on drop.
        if let Ok(count) = self.count.acquire().await {
            if let Ok(room) = self.bytes.acquire_many(bytes).await {
                room.forget();
            }
            count.forget();
        }
        Room { budget: self, bytes }
    }

    /// How many have room.
    pub(crate) fn outstanding(&self) -> usize {
        (self.max_count as usize).saturating_sub(self.count.available_permits())
    }

    /// How many bytes they have.
    pub(crate) fn outstanding_bytes(&self) -> usize {
        (self.max_bytes as usize).saturating_sub(self.bytes.available_permits())
    }

    /// How many have begun and not ended.
    pub(crate) fn begun(&self) -> usize {
        self.begun.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Waits until all has ended that has begun before the call.
    pub(crate) async fn settled(&self) {
        self.begun.settled().await;
    }

    fn counted(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max_bytes)
    }

    fn give_back(&self, bytes: u32) {
        self.count.add_permits(1);
        self.bytes.add_permits(bytes as usize);
    }
}

impl Permit {
    /// Takes room, if there is some and nobody waits for it.
    pub(crate) fn try_fill(&mut self, bytes: usize) -> bool {
        let bytes = self.budget.counted(bytes);
        let Ok(count) = self.budget.count.try_acquire() else { return false };
        let Ok(room) = self.budget.bytes.try_acquire_many(bytes) else { return false };
        room.forget();
        count.forget();
        self.room = Some(bytes);
        true
    }

    /// Takes over the room that was waited for.
    pub(crate) fn fill(&mut self, room: Room<'_>) {
        self.room = Some(room.bytes);
        std::mem::forget(room);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(bytes) = self.room {
            self.budget.give_back(bytes);
        }
        self.budget.begun.leave(self.generation);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Counts what has begun in two generations, so that the older one can be waited for while the younger goes on.
#[derive(Debug, Default)]
struct Begun {
    /// What begins belongs to this generation, 0 or 1.
    current: AtomicUsize,
    counts: [AtomicUsize; 2],
    /// How many wait for a generation to end.
    watchers: AtomicUsize,
    ended: Notify,
    /// Who waits, one at a time: each changes the generation.
    turn: Mutex<()>,
}

impl Begun {
    fn enter(&self) -> usize {
        // A change right here leaves this one in the older generation: it is waited for, too.
        let generation = self.current.load(Ordering::SeqCst);
        self.counts[generation].fetch_add(1, Ordering::SeqCst);
        generation
    }

    fn leave(&self, generation: usize) {
        // In one order with a watcher, who says so and then looks: one of the two sees the other.
        if self.counts[generation].fetch_sub(1, Ordering::SeqCst) == 1 && self.watchers.load(Ordering::SeqCst) > 0 {
            self.ended.notify_waiters();
        }
    }

    async fn settled(&self) {
        let _turn = self.turn.lock().await;
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let _watching = Watching(self);
        let current = self.current.load(Ordering::SeqCst);
        // A wait that was given up may have left something there.
        self.empty(1 - current).await;
        self.current.store(1 - current, Ordering::SeqCst);
        self.empty(current).await;
    }

    async fn empty(&self, generation: usize) {
        loop {
            let ended = self.ended.notified();
            if self.counts[generation].load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }
}

struct Watching<'a>(&'a Begun);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn settles(budget: &Budget) -> bool {
        budget.settled().now_or_never().is_some()
    }

    #[test]
    fn room_is_counted_until_it_is_given_back() {
        let budget = Budget::new(2, 10);
        let mut first = budget.begin();
        assert!(first.try_fill(7));
        let mut second = budget.begin();
        assert!(!second.try_fill(4), "there are 3 bytes left");
        assert!(second.try_fill(3));
        assert_eq!((budget.outstanding(), budget.outstanding_bytes()), (2, 10));
        drop(first);
        let mut third = budget.begin();
        assert!(!third.try_fill(1000), "more than there is takes all");
        drop(second);
        assert!(third.try_fill(1000));
        drop(third);
        assert_eq!((budget.outstanding(), budget.outstanding_bytes(), budget.begun()), (0, 0, 0));
    }

    #[test]
    fn nothing_settles_before_it_has_ended() {
        let budget = Budget::new(1, 1);
        assert!(settles(&budget));
        let first = budget.begin();
        assert!(!settles(&budget));
        // The wait was given up; what began since is not waited for in vain, either.
        let second = budget.begin();
        assert!(!settles(&budget));
        drop(first);
        assert!(!settles(&budget));
        drop(second);
        assert!(settles(&budget));
    }

    #[test]
    fn what_begins_later_is_not_waited_for() {
        let budget = Budget::new(1, 1);
        let before = budget.begin();
        let mut settled = Box::pin(budget.settled());
        assert!(settled.as_mut().now_or_never().is_none());
        let after = budget.begin();
        drop(before);
        assert!(settled.as_mut().now_or_never().is_some());
        assert!(!settles(&budget));
        drop(after);
        assert!(settles(&budget));
    }
}
