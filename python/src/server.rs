//! nsqd and nsqlookupd in memory, for the tests of programs.

use std::sync::{Mutex, PoisonError};

use gnsq_server::{Clock, Nsqd, Nsqlookupd, StartError, TopicRegistration};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::Failure;
use crate::operation::{Operation, Value};
use crate::options::seconds;
use crate::process::Owned;
use crate::server_options;

/// An nsqd on the I/O threads of this process. Dropped, it stops.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct NsqdServer(Owned<Running<Nsqd>>);

/// An nsqlookupd on the I/O threads of this process. Dropped, it stops.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct NsqlookupdServer(Owned<Running<Nsqlookupd>>);

/// A clock that stands still until it is moved.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct ManualClock(Owned<Clock>);

/// A server until it is stopped. Locked only with the GIL.
struct Running<S>(Mutex<Option<S>>);

#[pymethods]
impl NsqdServer {
    /// Starts one; the result is it. It listens then.
    #[staticmethod]
    fn start(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let builder = server_options::nsqd(options)?;
        Operation::spawn(py, async move {
            let nsqd = builder.start().await?;
            Ok(Value::made(|py| Ok(Py::new(py, Self(Running::new(nsqd)))?.into_any())))
        })
    }

    /// `host:port` of the TCP protocol.
    fn tcp_address(&self) -> PyResult<String> {
        self.0.get()?.look(Nsqd::tcp_address)
    }

    /// `host:port` of HTTP.
    fn http_address(&self) -> PyResult<String> {
        self.0.get()?.look(Nsqd::http_address)
    }

    /// `host:port` of HTTPS, if it has a certificate.
    fn https_address(&self) -> PyResult<Option<String>> {
        self.0.get()?.look(Nsqd::https_address)
    }

    /// The statistics as JSON.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let stats = self.0.get()?.look(|nsqd| serde_json::to_vec(&nsqd.stats()))?;
        stats.map(|json| PyBytes::new(py, &json)).map_err(|error| Failure::Other(error.to_string()).into())
    }

    /// Stops it; the result comes when it listens no more and its connections are closed.
    fn stop(&self, py: Python<'_>) -> PyResult<Operation> {
        let nsqd = self.0.get()?.take();
        Operation::spawn(py, async move {
            if let Some(nsqd) = nsqd {
                nsqd.shutdown().await;
            }
            Ok(Value::None)
        })
    }
}

#[pymethods]
impl NsqlookupdServer {
    /// Starts one; the result is it. It listens then.
    #[staticmethod]
    fn start(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Operation> {
        let builder = server_options::nsqlookupd(options)?;
        Operation::spawn(py, async move {
            let nsqlookupd = builder.start().await?;
            Ok(Value::made(|py| Ok(Py::new(py, Self(Running::new(nsqlookupd)))?.into_any())))
        })
    }

    /// `host:port` of the TCP protocol, where nsqds register.
    fn tcp_address(&self) -> PyResult<String> {
        self.0.get()?.look(Nsqlookupd::tcp_address)
    }

    /// `host:port` of HTTP, where clients ask.
    fn http_address(&self) -> PyResult<String> {
        self.0.get()?.look(Nsqlookupd::http_address)
    }

    /// Of each topic its channels, and the `host:port` of the nsqds that have it.
    fn registrations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let topics = PyDict::new(py);
        for TopicRegistration { topic, channels, producers, .. } in self.0.get()?.look(Nsqlookupd::registrations)? {
            let nsqds: Vec<_> = producers.iter().map(|nsqd| address(&nsqd.broadcast_address, nsqd.tcp_port)).collect();
            topics.set_item(topic, (channels, nsqds))?;
        }
        Ok(topics)
    }

    /// Stops it; the result comes when it listens no more and its connections are closed.
    fn stop(&self, py: Python<'_>) -> PyResult<Operation> {
        let nsqlookupd = self.0.get()?.take();
        Operation::spawn(py, async move {
            if let Some(nsqlookupd) = nsqlookupd {
                nsqlookupd.shutdown().await;
            }
            Ok(Value::None)
        })
    }
}

#[pymethods]
impl ManualClock {
    #[new]
    fn new() -> Self {
        Self(Owned::new(Clock::manual()))
    }

    /// Moves it on by so many seconds.
    fn advance(&self, by: f64) -> PyResult<()> {
        self.0.get()?.advance(seconds("advance", by)?);
        Ok(())
    }
}

impl ManualClock {
    pub(crate) fn clock(&self) -> PyResult<Clock> {
        Ok(self.0.get()?.clone())
    }
}

impl<S> Running<S> {
    fn new(server: S) -> Owned<Self> {
        Owned::new(Self(Mutex::new(Some(server))))
    }

    fn look<T>(&self, at: impl FnOnce(&S) -> T) -> PyResult<T> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().map(at).ok_or_else(|| Failure::Other("the server is stopped".to_owned()).into())
    }

    fn take(&self) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        match error {
            StartError::Listen { source, .. } => Self::Socket { errno: source.raw_os_error(), text },
            _ => Self::Value(text),
        }
    }
}

fn address(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
