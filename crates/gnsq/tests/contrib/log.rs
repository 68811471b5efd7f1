//! What a test's own thread logs.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

thread_local! {
    static LOGGED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Begins to keep what this thread logs.
pub(crate) fn keep() {
    // One for the process: which events are wanted is remembered beyond threads, and subscribers that come and go beside
    // each other would turn off each other's.
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        tracing_subscriber::fmt().with_writer(|| ThisThread).with_ansi(false).init();
        tracing::callsite::rebuild_interest_cache();
    });
    LOGGED.set(Some(Vec::new()));
}

/// What this thread has logged since.
pub(crate) fn text() -> String {
    LOGGED.with_borrow(|logged| String::from_utf8(logged.clone().unwrap()).unwrap())
}

struct ThisThread;

impl io::Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| {
            if let Some(logged) = logged {
                logged.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
