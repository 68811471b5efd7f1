//! How one thread sleeps until it is woken, and a signal that Python may have a handler for is noticed.

use std::time::Instant;

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slept {
    Woken,
    TimedOut,
    /// A signal came.
    Interrupted,
}

#[cfg(target_os = "linux")]
pub(crate) use futex::Sleeper;

#[cfg(not(target_os = "linux"))]
pub(crate) use pipe::Sleeper;

/// A wake-up costs a system call only if the thread sleeps, and costs that thread none.
#[cfg(target_os = "linux")]
mod futex {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::io::Errno;
    use rustix::thread::futex::{Flags, Timespec, wait, wake};

    use super::{Instant, Slept};

    #[derive(Debug)]
    pub(crate) struct Sleeper(AtomicU32);

    impl Sleeper {
        // It can fail where it is made of a file descriptor.
        #[allow(clippy::unnecessary_wraps, reason = "other systems need it")]
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self(AtomicU32::new(AWAKE)))
        }

        /// Ends the sleep, or the next one if there is none.
        pub(crate) fn wake(&self) {
            if self.0.swap(WOKEN, Ordering::AcqRel) == ASLEEP {
                // Nobody can be missed: only its own thread sleeps on it.
                let _ = wake(&self.0, Flags::PRIVATE, 1);
            }
        }

        /// Forgets that it was woken.
        pub(crate) fn clear(&self) {
            self.0.swap(AWAKE, Ordering::AcqRel);
        }

        /// Sleeps until it is woken. Not to be called with the GIL.
        pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Slept {
            if self.0.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire) == Err(WOKEN) {
                return Slept::Woken;
            }
            loop {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                // What is too long for the system is as good as for ever.
                let timeout = left.and_then(|left| Timespec::try_from(left).ok());
                let slept = wait(&self.0, Flags::PRIVATE, ASLEEP, timeout.as_ref());
                if self.0.load(Ordering::Acquire) == WOKEN {
                    return Slept::Woken;
                }
                match slept {
                    Err(Errno::INTR) => return Slept::Interrupted,
                    Err(Errno::TIMEDOUT) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                        return Slept::TimedOut;
                    }
                    // The system may wake it for no reason.
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }

    const AWAKE: u32 = 0;
    const ASLEEP: u32 = 1;
    const WOKEN: u32 = 2;
}

#[cfg(not(target_os = "linux"))]
mod pipe {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    use super::{Instant, Slept};
    use crate::wake::WakeFd;

    #[derive(Debug)]
    pub(crate) struct Sleeper {
        fd: WakeFd,
        woken: AtomicBool,
    }

    impl Sleeper {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self { fd: WakeFd::new()?, woken: AtomicBool::new(false) })
        }

        /// Ends the sleep, or the next one if there is none.
        pub(crate) fn wake(&self) {
            if !self.woken.swap(true, Ordering::AcqRel) {
                self.fd.wake();
            }
        }

        /// Forgets that it was woken.
        pub(crate) fn clear(&self) {
            if self.woken.swap(false, Ordering::AcqRel) {
                self.fd.clear();
            }
        }

        /// Sleeps until it is woken. Not to be called with the GIL.
        pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Slept {
            loop {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                // What is too long for the system is as good as for ever.
                let timeout = left.and_then(|left| Timespec::try_from(left).ok());
                match poll(&mut [PollFd::new(&self.fd.as_fd(), PollFlags::IN)], timeout.as_ref()) {
                    Ok(0) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
                    Ok(0) => return Slept::TimedOut,
                    Err(Errno::INTR) => return Slept::Interrupted,
                    // Any other error is the fd's own, which the caller finds as nothing being ready.
                    Ok(_) | Err(_) => {
                        // Also what came after it was cleared, of a wake-up that had been forgotten already.
                        self.fd.clear();
                        return Slept::Woken;
                    }
                }
            }
        }
    }
}
