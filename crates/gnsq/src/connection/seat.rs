//! Where a connection's driver is: with its task, and for a moment with whoever has something to send that is alone.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use super::driver::Driver;
use super::handle::Handle;

/// Holds the driver until the connection has ended. Its task waits for the lock, which others have for no longer than
/// one write that doesn't block; they only try it, so that whatever the driver calls may call the connection.
#[derive(Default)]
pub(super) struct Seat(Mutex<Option<Box<Driver>>>);

/// The task that drives a connection.
pub(super) struct Drive(Handle);

impl Handle {
    /// What has to run for `driver`, this connection's, to do its work.
    pub(super) fn drive(&self, driver: Driver) -> Drive {
        *self.shared().seat.lock() = Some(Box::new(driver));
        Drive(self.clone())
    }

    /// Sends what is alone on this thread: to wake another one, or only a task, would take longer than to send it.
    /// Returns whether that left nothing to do for the driver's task.
    pub(super) fn send_here(&self) -> bool {
        let Ok(mut driver) = self.shared().seat.0.try_lock() else { return false };
        driver.as_mut().is_some_and(|driver| driver.send_here())
    }
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Option<Box<Driver>>> {
        // To be put there, or taken away.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Drive {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ended = {
            // Whoever panicked with it has left it halfway.
            let Ok(mut seat) = self.0.shared().seat.0.lock() else { return Poll::Ready(()) };
            if let Some(driver) = seat.as_mut() {
                ready!(driver.poll(cx));
            }
            seat.take()
        };
        drop(ended);
        Poll::Ready(())
    }
}

impl Drop for Drive {
    /// The runtime may drop the task at any time; the driver then tells all who wait.
    fn drop(&mut self) {
        let driver = self.0.shared().seat.lock().take();
        drop(driver);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}
