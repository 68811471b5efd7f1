//! How much may be outstanding at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A bound on commands without an answer, by count and by bytes. Who comes when it is used up waits, in order.
#[derive(Debug)]
pub(crate) struct Budget {
    count: Semaphore,
    bytes: Semaphore,
    max_count: u32,
    max_bytes: u32,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    bytes: u32,
}

impl Budget {
    pub(crate) fn new(max_count: u32, max_bytes: u32) -> Arc<Self> {
        Arc::new(Self {
            count: Semaphore::new(max_count as usize),
            bytes: Semaphore::new(max_bytes as usize),
            max_count,
            max_bytes,
        })
    }

    /// Waits for room. More bytes than there are in all take the whole budget, so that they can go out at all.
    pub(crate) async fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max_bytes);
        // The semaphores are never closed, so acquiring can't fail; a permit forgotten is added back on drop.
        if let Ok(count) = self.count.acquire().await {
            if let Ok(room) = self.bytes.acquire_many(bytes).await {
                room.forget();
            }
            count.forget();
        }
        Permit { budget: self.clone(), bytes }
    }

    /// How many permits are out.
    pub(crate) fn outstanding(&self) -> usize {
        (self.max_count as usize).saturating_sub(self.count.available_permits())
    }

    /// Waits until no permit is out.
    pub(crate) async fn idle(&self) {
        // All of the count at once is there only when nothing is outstanding; dropping it gives it back.
        drop(self.count.acquire_many(self.max_count).await);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.count.add_permits(1);
        self.budget.bytes.add_permits(self.bytes as usize);
    }
}
