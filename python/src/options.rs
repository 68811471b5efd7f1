//! The options of a connection, as Python gives them.

use std::path::PathBuf;
use std::time::Duration;

use gnsq::{ConnectionConfig, TlsConfig, TlsVersion};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The options of connections to nsqd, checked for their types. `gnsq._options` knows their names and defaults, and
/// gives only those that are used.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct ConnectionOptions {
    config: ConnectionConfig,
    pub(crate) timeout: Duration,
}

impl ConnectionOptions {
    pub(crate) fn config(&self) -> ConnectionConfig {
        self.config.clone()
    }
}

#[pymethods]
impl ConnectionOptions {
    /// Times are in seconds. `heartbeat_interval` None: none.
    #[new]
    #[pyo3(signature = (*, user_agent, timeout, client_id=None, hostname=None, heartbeat_interval=None,
        output_buffer_size=None, output_buffer_timeout=None, tls=None, snappy=false, deflate_level=None, sample_rate=0,
        auth_secret=None, msg_timeout=None))]
    #[allow(clippy::too_many_arguments, reason = "they are given by name")]
    fn new(
        user_agent: &str,
        timeout: f64,
        client_id: Option<&str>,
        hostname: Option<&str>,
        heartbeat_interval: Option<f64>,
        output_buffer_size: Option<u32>,
        output_buffer_timeout: Option<f64>,
        tls: Option<&TlsOptions>,
        snappy: bool,
        deflate_level: Option<u8>,
        sample_rate: u8,
        auth_secret: Option<&[u8]>,
        msg_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let timeout = seconds("timeout", timeout)?;
        let heartbeats = heartbeat_interval.map(|interval| seconds("heartbeat_interval", interval)).transpose()?;
        let mut config = ConnectionConfig::new()
            .user_agent(user_agent)
            .connect_timeout(timeout)
            .answer_timeout(timeout)
            .write_timeout(timeout)
            .heartbeat_interval(heartbeats)
            .snappy(snappy)
            .deflate(deflate_level)
            .tls(tls.map(|tls| tls.0.clone()));
        if let Some(client_id) = client_id {
            config = config.client_id(client_id);
        }
        if let Some(hostname) = hostname {
            config = config.hostname(hostname);
        }
        if let Some(bytes) = output_buffer_size {
            config = config.output_buffer_size(bytes);
        }
        if let Some(timeout) = output_buffer_timeout {
            config = config.output_buffer_timeout(seconds("output_buffer_timeout", timeout)?);
        }
        if sample_rate > 0 {
            config = config.sample_rate(sample_rate);
        }
        if let Some(secret) = auth_secret {
            config = config.auth_secret(secret.to_vec());
        }
        if let Some(timeout) = msg_timeout {
            config = config.msg_timeout(seconds("message_timeout", timeout)?);
        }
        Ok(Self { config, timeout })
    }
}

/// Whom a client trusts, and what it shows of itself.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct TlsOptions(TlsConfig);

impl TlsOptions {
    pub(crate) fn config(&self) -> TlsConfig {
        self.0.clone()
    }
}

#[pymethods]
impl TlsOptions {
    /// Files are PEM. `min_version`: "1.2" or "1.3".
    #[new]
    #[pyo3(signature = (*, ca_file=None, ca_pem=None, cert_file=None, key_file=None, server_hostname=None, verify=true,
        min_version=None))]
    fn new(
        ca_file: Option<PathBuf>,
        ca_pem: Option<&[u8]>,
        cert_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
        server_hostname: Option<&str>,
        verify: bool,
        min_version: Option<&str>,
    ) -> PyResult<Self> {
        let mut tls = TlsConfig::new().danger_accept_invalid_certs(!verify);
        if let Some(file) = ca_file {
            tls = tls.ca_certificate_file(file);
        }
        if let Some(pem) = ca_pem {
            tls = tls.ca_certificate_pem(pem.to_vec());
        }
        if let Some(file) = cert_file {
            tls = tls.client_certificate_file(file);
        }
        if let Some(file) = key_file {
            tls = tls.client_key_file(file);
        }
        if let Some(name) = server_hostname {
            tls = tls.server_name(name);
        }
        match min_version {
            None => {}
            Some("1.2") => tls = tls.min_version(TlsVersion::Tls12),
            Some("1.3") => tls = tls.min_version(TlsVersion::Tls13),
            Some(other) => return Err(PyValueError::new_err(format!("TLS {other} is not spoken: 1.2 or 1.3 is"))),
        }
        Ok(Self(tls))
    }
}

/// A time that Python gave in seconds.
///
/// # Errors
///
/// `ValueError`, naming the option, for what is no time.
pub(crate) fn seconds(option: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("{option}: {error}")))
}
