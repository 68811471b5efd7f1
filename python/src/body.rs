//! Bodies of messages, out of what Python has for bytes.

use bytes::Bytes;
use gnsq::{Batch, LimitError, Packer, PublishLimits};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use crate::errors::Failure;

/// One body: bytes-like, or str, which is sent as UTF-8.
///
/// # Errors
///
/// `TypeError` for anything else.
pub(crate) fn body(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    with_bytes(data, Bytes::copy_from_slice)
}

/// Several bodies, out of anything that gives them out one after the other. Each is copied once, to where they are sent from.
///
/// # Errors
///
/// `TypeError` for what is no such thing, or has anything else in it; what the limits refuse.
pub(crate) fn bodies(messages: &Bound<'_, PyAny>, limits: &PublishLimits) -> PyResult<Batch> {
    // Both are iterable, and neither is meant to be several messages.
    if messages.is_instance_of::<PyString>() || messages.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("messages have to be several: one is published with publish"));
    }
    // What doesn't tell how many it has has them anyway.
    let mut packer = Packer::new(*limits, messages.len().unwrap_or(1));
    for message in messages.try_iter()? {
        with_bytes(&message?, |bytes| packer.push(bytes))?.map_err(refused)?;
    }
    Ok(packer.finish().map_err(refused)?)
}

fn refused(error: LimitError) -> Failure {
    Failure::from(gnsq::Error::from(error))
}

fn with_bytes<T>(data: &Bound<'_, PyAny>, take: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(take(bytes.as_bytes()));
    }
    if let Ok(text) = data.cast::<PyString>() {
        return Ok(take(text.to_cow()?.as_bytes()));
    }
    if let Ok(bytes) = data.cast::<PyByteArray>() {
        return Ok(take(&bytes.to_vec()));
    }
    let Ok(view) = PyMemoryView::from(data) else {
        let text = format!("a message has to be bytes-like or str, not {}", data.get_type().name()?);
        return Err(PyTypeError::new_err(text));
    };
    let bytes = view.call_method0(pyo3::intern!(data.py(), "tobytes"))?;
    Ok(take(bytes.cast::<PyBytes>()?.as_bytes()))
}
