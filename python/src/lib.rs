//! The native half of the Python package `gnsq`: the private module `gnsq._core`.
//!
//! I/O runs on one thread of its own, which never has the GIL and knows no Python object. Whoever waits for it does so on
//! a file descriptor: a thread blocks on its own, gevent's hub and asyncio's loop watch that of a mailbox. Python code is
//! never called from here.

mod answers;
mod begun;
mod body;
mod consumer;
mod errors;
mod events;
mod gather;
mod http;
mod line;
mod mailbox;
mod message;
mod operation;
mod options;
mod parker;
mod process;
mod producer;
mod publish;
mod runtime;
mod server;
mod server_options;
mod sleeper;
mod submissions;
mod tcp_client;
mod waiting;
mod wake;

use pyo3::prelude::*;

/// The native half of gnsq. Private: its names may change.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::answers::Answers;
    #[pymodule_export]
    use crate::consumer::Consumer;
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::http::HttpClient;
    #[pymodule_export]
    use crate::line::{Line, Messages};
    #[pymodule_export]
    use crate::mailbox::Mailbox;
    #[pymodule_export]
    use crate::message::Message;
    #[pymodule_export]
    use crate::operation::Operation;
    #[pymodule_export]
    use crate::options::{ConnectionOptions, TlsOptions};
    #[pymodule_export]
    use crate::parker::release_threads;
    #[pymodule_export]
    use crate::process::after_fork_in_child;
    #[pymodule_export]
    use crate::producer::{Producer, Room};
    #[pymodule_export]
    use crate::publish::Publish;
    #[pymodule_export]
    use crate::server::{ManualClock, NsqdServer, NsqlookupdServer};
    #[pymodule_export]
    use crate::tcp_client::TcpClient;
}
