//! The options of embedded servers, as Python gives them: a dict, times in seconds.

use std::path::PathBuf;
use std::time::Duration;

use gnsq_server::{
    ClientAuth, Nsqd, NsqdBuilder, NsqdOptions, Nsqlookupd, NsqlookupdBuilder, PemSource, TlsOptions, TlsRequired,
    TlsVersion,
};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::options::seconds;
use crate::server::ManualClock;

/// An nsqd by its options.
///
/// # Errors
///
/// `TypeError` or `ValueError`, naming the option.
pub(crate) fn nsqd(options: &Bound<'_, PyDict>) -> PyResult<NsqdBuilder> {
    let given = Given(options.copy()?);
    let mut options = NsqdOptions::default();
    /// Replaces the defaults by what is given.
    macro_rules! set {
        ($($field:ident: $take:ident $(<$as:ty>)?),* $(,)?) => {
            $(if let Some(value) = given.$take $(::<$as>)? (stringify!($field))? {
                options.$field = value.into();
            })*
        };
    }
    set! {
        tcp_address: take<String>,
        http_address: take<String>,
        https_address: take<String>,
        broadcast_address: take<String>,
        broadcast_tcp_port: take<u16>,
        broadcast_http_port: take<u16>,
        hostname: take<String>,
        node_id: take<u16>,
        lookupd_tcp_addresses: take<Vec<String>>,
        max_msg_size: take<usize>,
        max_body_size: take<usize>,
        max_rdy_count: take<u32>,
        msg_timeout: time,
        max_msg_timeout: time,
        max_req_timeout: time,
        client_timeout: time,
        max_heartbeat_interval: time,
        max_output_buffer_size: take<usize>,
        max_output_buffer_timeout: time,
        min_output_buffer_timeout: time,
        output_buffer_timeout: time,
        deflate: take<bool>,
        max_deflate_level: take<u8>,
        snappy: take<bool>,
        max_channel_consumers: take<usize>,
        mem_queue_size: take<usize>,
        auth_http_addresses: take<Vec<String>>,
        statsd_address: take<String>,
        statsd_prefix: take<String>,
        statsd_interval: time,
        statsd_mem_stats: take<bool>,
        statsd_udp_packet_size: take<usize>,
        statsd_exclude_ephemeral: take<bool>,
        max_messages: take<usize>,
        max_bytes: take<usize>,
        max_connections: take<usize>,
    }
    options.tls = tls(&given)?;
    if let Some(clock) = given.clock()? {
        options.clock = clock;
    }
    given.end()?;
    Ok(Nsqd::builder().options(options))
}

/// An nsqlookupd by its options.
///
/// # Errors
///
/// As [`nsqd`].
pub(crate) fn nsqlookupd(options: &Bound<'_, PyDict>) -> PyResult<NsqlookupdBuilder> {
    let given = Given(options.copy()?);
    let mut builder = Nsqlookupd::builder();
    macro_rules! set {
        ($($option:ident: $take:ident $(<$as:ty>)?),* $(,)?) => {
            $(if let Some(value) = given.$take $(::<$as>)? (stringify!($option))? {
                builder = builder.$option(value);
            })*
        };
    }
    set! {
        tcp_address: take<String>,
        http_address: take<String>,
        broadcast_address: take<String>,
        hostname: take<String>,
        inactive_producer_timeout: time,
        tombstone_lifetime: time,
    }
    if let Some(clock) = given.clock()? {
        builder = builder.clock(clock);
    }
    given.end()?;
    Ok(builder)
}

fn tls(given: &Given<'_>) -> PyResult<Option<TlsOptions>> {
    let file = |name| Ok::<_, PyErr>(given.take::<PathBuf>(name)?.map(PemSource::File));
    let (certificate, key, root_ca) = (file("tls_cert")?, file("tls_key")?, file("tls_root_ca_file")?);
    let client_auth = match given.take::<String>("tls_client_auth_policy")?.as_deref() {
        None => ClientAuth::None,
        Some("require") => ClientAuth::Require,
        Some("require-verify") => ClientAuth::RequireVerify,
        Some(other) => return Err(wrong("tls_client_auth_policy", "'require' or 'require-verify'", other)),
    };
    let required = match given.take::<String>("tls_required")?.as_deref() {
        None | Some("false") => TlsRequired::No,
        Some("tcp-https") => TlsRequired::TcpHttps,
        Some("true") => TlsRequired::All,
        Some(other) => return Err(wrong("tls_required", "True, False or 'tcp-https'", other)),
    };
    let min_version = match given.take::<String>("tls_min_version")?.as_deref() {
        None | Some("tls1.2") => TlsVersion::Tls12,
        Some("tls1.3") => TlsVersion::Tls13,
        Some(other) => return Err(wrong("tls_min_version", "'tls1.2' or 'tls1.3'", other)),
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Ok(Some(TlsOptions { certificate, key, root_ca, client_auth, required, min_version }))
        }
        (None, None) if required == TlsRequired::No && client_auth == ClientAuth::None && root_ca.is_none() => Ok(None),
        _ => Err(PyValueError::new_err("TLS needs both tls_cert and tls_key")),
    }
}

fn wrong(option: &str, known: &str, given: &str) -> PyErr {
    PyValueError::new_err(format!("{option} is {given:?}: it has to be {known}"))
}

/// What hasn't been taken out yet.
struct Given<'py>(Bound<'py, PyDict>);

impl<'py> Given<'py> {
    fn take<T: FromPyObjectOwned<'py>>(&self, option: &str) -> PyResult<Option<T>> {
        let Some(value) = self.0.get_item(option)? else { return Ok(None) };
        self.0.del_item(option)?;
        value.extract::<T>().map(Some).map_err(|error| {
            let error: PyErr = error.into();
            let text = format!("{option}: {}", error.value(self.0.py()));
            if error.is_instance_of::<PyTypeError>(self.0.py()) {
                PyTypeError::new_err(text)
            } else {
                PyValueError::new_err(text)
            }
        })
    }

    fn time(&self, option: &str) -> PyResult<Option<Duration>> {
        self.take::<f64>(option)?.map(|value| seconds(option, value)).transpose()
    }

    fn clock(&self) -> PyResult<Option<gnsq_server::Clock>> {
        self.take::<Py<ManualClock>>("clock")?.map(|clock| clock.get().clock()).transpose()
    }

    fn end(self) -> PyResult<()> {
        match self.0.keys().iter().next() {
            None => Ok(()),
            Some(option) => Err(PyTypeError::new_err(format!("unknown option of a server: {option}"))),
        }
    }
}
