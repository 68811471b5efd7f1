//! A file descriptor that becomes readable when there is something to do.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Can be waited on by a thread, gevent's hub or asyncio's loop.
#[derive(Debug)]
pub(crate) struct WakeFd {
    read: OwnedFd,
    /// Where there is no eventfd, the other end of a pipe.
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

impl WakeFd {
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { read: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Self { read, write })
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// Makes it readable.
    pub(crate) fn wake(&self) {
        #[cfg(target_os = "linux")]
        let write = &self.read;
        #[cfg(not(target_os = "linux"))]
        let write = &self.write;
        // It can only be full, and is readable then.
        let _ = rustix::io::write(write, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable until the next wake.
    pub(crate) fn clear(&self) {
        let mut read = [0; 512];
        while rustix::io::read(&self.read, &mut read).is_ok_and(|count| count == read.len()) {}
    }
}

impl AsFd for WakeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
