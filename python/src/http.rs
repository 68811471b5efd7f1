//! Requests to the HTTP APIs of nsqd and nsqlookupd. What they mean, Python knows.

use bytes::Bytes;
use gnsq::LookupdClient;
use gnsq::http::RawClient;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Failure;
use crate::operation::{Operation, Value};
use crate::options::{TlsOptions, seconds};
use crate::process::Owned;

/// The connections to one server's HTTP API.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct HttpClient(Owned<RawClient>);

impl HttpClient {
    /// As discovery asks an nsqlookupd, over the same connections.
    pub(crate) fn lookupd(&self) -> PyResult<LookupdClient> {
        Ok(self.0.get()?.clone().into())
    }
}

#[pymethods]
impl HttpClient {
    /// `url` has a scheme. `timeout` in seconds is for a whole request, connecting included.
    #[new]
    #[pyo3(signature = (url, *, user_agent, timeout, tls=None))]
    fn new(url: &str, user_agent: &str, timeout: f64, tls: Option<&TlsOptions>) -> PyResult<Self> {
        let timeout = seconds("timeout", timeout)?;
        let mut builder =
            RawClient::builder(url).user_agent(user_agent).connect_timeout(timeout).request_timeout(timeout);
        if let Some(tls) = tls {
            builder = builder.tls(tls.config());
        }
        Ok(Self(Owned::new(builder.build().map_err(Failure::from)?)))
    }

    /// The server's URL, without what may be secret.
    fn address(&self) -> PyResult<String> {
        Ok(self.0.get()?.address().to_owned())
    }

    /// Sends a request; the result is the answer, whatever it tells: its status, its content type and its body.
    fn request(
        &self,
        py: Python<'_>,
        method: String,
        path: String,
        query: Vec<(String, String)>,
        body: &[u8],
    ) -> PyResult<Operation> {
        let client = self.0.get()?.clone();
        let body = Bytes::copy_from_slice(body);
        Operation::spawn(py, async move {
            let query: Vec<_> = query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let answer = client.send(&method, &path, &query, body).await?;
            Ok(Value::made(move |py| {
                let answer = (answer.status, answer.content_type, PyBytes::new(py, &answer.body));
                Ok(answer.into_pyobject(py)?.into_any().unbind())
            }))
        })
    }
}
