//! The API on unix sockets, and where TLS is required.

use std::path::PathBuf;

use gnsq_server::{ClientAuth, ListenAddress, LogLevel, Nsqd, PemSource, TlsOptions, TlsRequired, TlsVersion};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::requests::{Both, ask, http_address};

#[tokio::test]
async fn info_tells_who_and_where_in_nsqds_order() {
    let both = Both::start(Nsqd::builder(), &[]).await;
    let keys = both.ask("GET /info", "").await.map(|answer| {
        let info = answer.rsplit('\n').next().unwrap().to_owned();
        let keys: Vec<_> = info.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        keys.into_iter().filter(|key| info.contains(&format!("\"{key}\":"))).collect::<Vec<_>>()
    });
    assert_eq!(keys[0], keys[1]);
    let answer = ask(http_address(&both.embedded), "GET /info", b"").await;
    let info: Value = serde_json::from_str(answer.rsplit('\n').next().unwrap()).unwrap();
    let [tcp, http] = [both.embedded.tcp_address(), both.embedded.http_address()]
        .map(|address| address.rsplit(':').next().unwrap().parse::<u16>().unwrap());
    assert_eq!((info["tcp_port"].as_u64(), info["http_port"].as_u64()), (Some(tcp.into()), Some(http.into())));
    assert_eq!(info["max_output_buffer_timeout"], 30_000_000_000_u64);
}

#[tokio::test]
async fn a_unix_socket_has_no_port() {
    let directory = std::env::temp_dir();
    let path = |name: &str| directory.join(format!("gnsq-http-{}-{name}.sock", std::process::id()));
    let (tcp, http) = (path("tcp"), path("http"));
    let nsqd = Nsqd::builder()
        .tcp_address(ListenAddress::Unix(tcp.clone()))
        .http_address(ListenAddress::Unix(http.clone()))
        .start()
        .await
        .unwrap();
    let info = ask_unix(&http, "GET /info").await;
    assert!(info.contains("\"http_port\":-1,\"tcp_port\":-1,"), "{info}");
    assert!(ask_unix(&http, "GET /config/broadcast_tcp_port").await.ends_with("\r\n\r\n0"));
    assert!(ask_unix(&http, "GET /config/tcp_address").await.ends_with(tcp.to_str().unwrap()));
    nsqd.shutdown().await;
    assert!(!tcp.exists() && !http.exists());
}

#[tokio::test]
async fn without_tls_all_is_refused_where_it_is_required() {
    let (certificate, key) = (certs("ec.pem"), certs("ec.key"));
    for (required, client_auth, flags) in [
        (TlsRequired::All, ClientAuth::None, &["--tls-required=true"][..]),
        (TlsRequired::No, ClientAuth::Require, &["--tls-client-auth-policy=require"]),
        (TlsRequired::TcpHttps, ClientAuth::None, &["--tls-required=tcp-https"]),
        (TlsRequired::No, ClientAuth::None, &[]),
    ] {
        let tls = TlsOptions {
            certificate: PemSource::File(certificate.clone()),
            key: PemSource::File(key.clone()),
            root_ca: None,
            client_auth,
            required,
            min_version: TlsVersion::Tls12,
        };
        let files = [format!("--tls-cert={}", certificate.display()), format!("--tls-key={}", key.display())];
        let flags: Vec<_> = flags.iter().copied().chain(files.iter().map(String::as_str)).collect();
        let both = Both::start(Nsqd::builder().tls(tls), &flags).await;
        let embedded_port = both.embedded.https_address().unwrap().rsplit(':').next().unwrap().to_owned();
        let real_port = both.real.https_address().port().to_string();
        for request in [
            "GET /ping",
            "HEAD /ping",
            "OPTIONS /pub",
            "GET /nope",
            "POST /pub?topic=t",
            "GET /config/tls_required",
            "GET /config/tls_cert",
        ] {
            let [embedded, real] = both.ask(request, "x").await;
            let [embedded, real] = [embedded.replace(&embedded_port, "PORT"), real.replace(&real_port, "PORT")];
            // Ports have four or five digits.
            let without_length = |answer: &str| answer.replacen("Content-Length: 47", "Content-Length: 48", 1);
            assert_eq!(without_length(&embedded), without_length(&real), "{request} with {flags:?}");
        }
    }
}

#[tokio::test]
async fn who_runs_the_nsqd_hears_of_its_log_level() {
    let nsqd = Nsqd::builder().log_level(LogLevel::Warn).start().await.unwrap();
    let mut level = nsqd.log_level();
    assert_eq!(*level.borrow_and_update(), LogLevel::Warn);
    assert!(ask(http_address(&nsqd), "GET /config/log_level", b"").await.ends_with("\n3"));
    assert!(ask(http_address(&nsqd), "PUT /config/log_level", b"debug").await.ends_with("\n1"));
    level.changed().await.unwrap();
    assert_eq!(*level.borrow(), LogLevel::Debug);
}

async fn ask_unix(path: &PathBuf, request: &str) -> String {
    let mut socket = UnixStream::connect(path).await.unwrap();
    socket.write_all(format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

fn certs(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "certs", name].iter().collect()
}
