//! Room to read and write, lent to a connection for as long as it runs.

use std::cell::RefCell;

use bytes::BytesMut;

/// Exchanges a buffer that holds little for a large one, with the same content.
///
/// Each thread has a few large buffers for all its connections: one that waits keeps no room that it doesn't use, and
/// one that runs finds its room in the processor's cache.
pub(super) fn lend(own: &mut BytesMut) {
    if own.len() <= KEPT {
        let mut spare = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(SIZE));
        spare.extend_from_slice(own);
        *own = spare;
    }
}

/// Takes back what was lent; the connection keeps what its buffer holds.
pub(super) fn take_back(own: &mut BytesMut) {
    if own.len() > KEPT && own.capacity() <= 2 * own.len() {
        return;
    }
    let rest = if own.is_empty() { BytesMut::new() } else { BytesMut::from(&own[..]) };
    let mut spare = std::mem::replace(own, rest);
    spare.clear();
    // What was read from the front of a buffer is room again.
    spare.reserve(SIZE);
    if spare.capacity() <= LARGEST {
        SPARE.with_borrow_mut(|spares| {
            if spares.len() < SPARES {
                spares.push(spare);
            }
        });
    }
}

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Of a lent buffer, in bytes: what one system call brings.
pub(super) const SIZE: usize = 64 * 1024;
/// A buffer that has grown beyond it is not kept: a body of megabytes is rare.
const LARGEST: usize = 4 * SIZE;
/// One to read and one to write, for a connection that runs, and for one that it meets while it is dropped.
const SPARES: usize = 4;
/// So many bytes are copied rather than keep the buffer that they are in.
const KEPT: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_connection_keeps_only_what_it_holds() {
        let mut own = BytesMut::new();
        lend(&mut own);
        assert!(own.capacity() >= SIZE);
        take_back(&mut own);
        assert_eq!(own.capacity(), 0);
        lend(&mut own);
        own.extend_from_slice(b"half a comm");
        take_back(&mut own);
        assert_eq!(&own[..], b"half a comm");
        assert!(own.capacity() < 100);
        lend(&mut own);
        assert_eq!(&own[..], b"half a comm");
        own.extend_from_slice(&[0; 8 * 1024]);
        take_back(&mut own);
        assert!(own.capacity() <= 2 * own.len());
    }

    #[test]
    fn the_same_buffer_is_lent_again() {
        let mut own = BytesMut::new();
        lend(&mut own);
        let room = own.as_ptr();
        take_back(&mut own);
        lend(&mut own);
        assert_eq!(own.as_ptr(), room);
    }
}
