//! What went wrong, as the exceptions of `gnsq.errors`.

use std::error::Error as StdError;
use std::io;

use gnsq::{ConnectionError, Error, HttpError, LimitError, ServerError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A failure that I/O may hold: it knows no Python object.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Of a TCP client.
    Client(Error),
    /// The child of a fork has used what belongs to its parent.
    Forked { pid: u32 },
    /// The work was stopped.
    Cancelled,
    /// The system or the network failed.
    Socket { errno: Option<i32>, text: String },
    /// An argument that can't be used.
    Value(String),
    /// Anything else.
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

/// As far as there was no answer: one with another status than 200 is told by its body.
impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match &error {
            HttpError::BadAddress { .. } | HttpError::InvalidOption { .. } => Self::Value(error.to_string()),
            HttpError::Timeout { .. } => Self::Socket { errno: Some(TIMED_OUT), text: error.to_string() },
            HttpError::Connect { source, .. } | HttpError::Tls { source, .. } | HttpError::Request { source, .. } => {
                Self::Socket { errno: os_error(source.as_ref()), text: error.to_string() }
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| failure.exception(py).unwrap_or_else(|error| error))
    }
}

impl Failure {
    fn exception(self, py: Python<'_>) -> PyResult<PyErr> {
        match self {
            Self::Client(error) => client_error(py, &error),
            Self::Forked { pid } => {
                let text = format!(
                    "this was made in process {pid}, and a fork took neither its threads nor its connections along: \
                     make a new one in this process"
                );
                raised(py, "NSQException", text)
            }
            Self::Cancelled => raised(py, "NSQException", "the work was stopped before it was done".to_owned()),
            Self::Socket { errno, text } => socket_exception(py, errno, text),
            Self::Value(text) => Ok(PyValueError::new_err(text)),
            Self::Other(text) => raised(py, "NSQException", text),
        }
    }
}

fn client_error(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let text = error.to_string();
    match error {
        Error::Name(_) | Error::Address(_) | Error::Option { .. } => Ok(PyValueError::new_err(text)),
        Error::Limit(limit) => {
            let class = match limit {
                LimitError::NoMessages | LimitError::BodyTooLarge { .. } => "NSQBadBody",
                LimitError::DelayTooLong { .. } => "NSQInvalid",
                _ => "NSQBadMessage",
            };
            raised(py, class, text)
        }
        Error::NoConnections { .. } | Error::BufferFull { .. } => raised(py, "NSQNoConnections", text),
        Error::Refused { source, .. } => server_error(py, source),
        Error::Connect { source, .. } | Error::Io { source, .. } | Error::Tls { source, .. } => {
            socket_error(py, Some(source), text)
        }
        Error::Timeout { .. } => socket_error(py, Some(&io::ErrorKind::TimedOut.into()), text),
        Error::Lost { cause, .. } => match &**cause {
            Error::Connect { source, .. } | Error::Io { source, .. } | Error::Tls { source, .. } => {
                socket_error(py, Some(source), text)
            }
            Error::Connection { .. } => client_error(py, cause),
            _ => raised(py, "NSQException", text),
        },
        Error::Connection { source, .. } => match source {
            ConnectionError::Server(error) => server_error(py, error),
            ConnectionError::Frame(_) => raised(py, "NSQFrameError", text),
            ConnectionError::Silent(_) => socket_error(py, Some(&io::ErrorKind::TimedOut.into()), text),
            _ => raised(py, "NSQException", text),
        },
        Error::AuthRequired { .. } => raised(py, "NSQUnauthorized", text),
        _ => raised(py, "NSQException", text),
    }
}

/// The exception of nsqd's error, as `gnsq.errors.make_error` makes it.
pub(crate) fn server_error(py: Python<'_>, error: &ServerError) -> PyResult<PyErr> {
    let data = PyBytes::new(py, &error.to_wire());
    let made = py.import("gnsq.errors")?.call_method1("make_error", (data,))?;
    Ok(PyErr::from_value(made))
}

fn socket_error(py: Python<'_>, source: Option<&io::Error>, text: String) -> PyResult<PyErr> {
    let errno = source.and_then(io::Error::raw_os_error).or_else(|| match source?.kind() {
        io::ErrorKind::TimedOut => Some(TIMED_OUT),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Some(CONNECTION_RESET),
        io::ErrorKind::ConnectionRefused => Some(CONNECTION_REFUSED),
        _ => None,
    });
    socket_exception(py, errno, text)
}

fn socket_exception(py: Python<'_>, errno: Option<i32>, text: String) -> PyResult<PyErr> {
    let class = py.import("gnsq.errors")?.getattr("NSQSocketError")?;
    Ok(PyErr::from_value(class.call1((errno.unwrap_or(-1), text))?))
}

/// The system's word for it, if an error within is the system's.
fn os_error(error: &(dyn StdError + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let errno = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if errno.is_some() {
            return errno;
        }
        cause = error.source();
    }
    None
}

fn raised(py: Python<'_>, class: &str, text: String) -> PyResult<PyErr> {
    let class = py.import("gnsq.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call1((text,))?))
}

const TIMED_OUT: i32 = rustix::io::Errno::TIMEDOUT.raw_os_error();
const CONNECTION_RESET: i32 = rustix::io::Errno::CONNRESET.raw_os_error();
const CONNECTION_REFUSED: i32 = rustix::io::Errno::CONNREFUSED.raw_os_error();
