//! TLS: offered, demanded, with certificates of clients; and HTTPS.

use serde_json::json;

use crate::auth_server::AuthServer;
use crate::certificates::Certificates;
use crate::http::{Answer, exchange};
use crate::server::{Nsqd, Side};
use crate::state::State;
use crate::stats;
use crate::wire::{Client, TlsClient, command, mpub};

conformance! {
    a_connection_goes_on_under_tls,
    tls_is_granted_only_with_a_certificate,
    tls_can_be_demanded_of_clients,
    tls_can_be_demanded_of_everyone,
    identify_is_taken_without_tls_that_is_demanded,
    a_policy_demands_a_certificate,
    a_policy_demands_a_certificate_of_the_ca,
    a_ca_without_a_policy_asks_for_nothing,
    a_version_that_is_too_old_is_refused,
    no_handshake_is_told_in_clear_text,
    the_version_and_cipher_are_shown,
    https_is_http_under_tls,
    a_policy_is_for_https_too,
    an_auth_server_is_told_of_the_certificate,
}

const IDENTIFY: &str = r#"{"feature_negotiation":true,"tls_v1":true}"#;

fn refs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// Says IDENTIFY, goes through the handshake and takes the OK; fails if the server refuses.
async fn upgraded(nsqd: &impl Nsqd, tls: TlsClient<'_>) -> Option<Client> {
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", IDENTIFY)).await;
    let reply = client.response().await;
    assert!(reply.contains(r#""tls_v1":true"#), "{reply}");
    client.upgrade_to_tls(tls).await?;
    // With TLS 1.3 it is the first answer that tells what became of a client's certificate.
    client.is_ok().await.then_some(client)
}

async fn a_connection_goes_on_under_tls<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&[]))).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = upgraded(&nsqd, TlsClient { version, certificate: None }).await.unwrap();
        client.send("SUB t c\nRDY 1\n").await;
        client.ok().await;
        let large = "x".repeat(100_000);
        let message = client.published(&large).await;
        assert!(message.body == large);
        client.send(format!("FIN {}\n", message.id)).await;
        client.stays().await;
        client.send("FOO\n").await;
        client.refused("E_INVALID invalid command FOO").await;
    }
    // Who doesn't ask goes on in clear text.
    State::Init.answers(&nsqd, [(command("IDENTIFY", "{}"), "OK"), (mpub("t", &["x"]), "OK")]).await;
    State::Init.answers(&nsqd, [(command("IDENTIFY", r#"{"tls_v1":true}"#), "OK")]).await;
}

async fn tls_is_granted_only_with_a_certificate<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", IDENTIFY)).await;
    assert!(client.response().await.contains(r#""tls_v1":false"#));
    client.stays().await;
}

async fn tls_can_be_demanded_of_clients<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&["--tls-required=tcp-https"]))).await;
    refuses_clear_text(&nsqd).await;
    let mut client = upgraded(&nsqd, TlsClient::ANONYMOUS).await.unwrap();
    client.stays().await;
    let http = nsqd.http();
    assert_eq!(http.get("/ping").await.text(), "OK");
    assert_eq!(http.json("/config/tls_required").await, json!(1));
}

async fn tls_can_be_demanded_of_everyone<S: Side>() {
    let certificates = Certificates::new();
    for required in ["true", "1"] {
        let nsqd = S::nsqd(&refs(&certificates.flags(&[&format!("--tls-required={required}")]))).await;
        refuses_clear_text(&nsqd).await;
        upgraded(&nsqd, TlsClient::ANONYMOUS).await.unwrap().stays().await;
        let text = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {}}}"#, nsqd.https_address().port());
        for (method, target) in
            [("GET", "/ping"), ("GET", "/nope"), ("POST", "/pub?topic=t"), ("PUT", "/ping"), ("GET", "/ping/")]
        {
            let answer = nsqd.http().request(method, target, &[], b"x").await;
            assert_eq!((answer.status, answer.text()), (403, text.as_str()));
            assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
            assert_eq!(answer.header("x-nsq-content-type"), Some("nsq; version=1.0"));
        }
        assert_eq!(https(&nsqd, "GET /ping", "").await.text(), "OK");
    }
}

/// Every command but IDENTIFY is refused, whatever else is wrong in it.
async fn refuses_clear_text(nsqd: &impl Nsqd) {
    for line in [
        "NOP", "SUB t c", "SUB", "PUB t", "PUB", "MPUB t", "DPUB t 1", "RDY 1", "FIN", "REQ", "TOUCH", "CLS", "AUTH",
        "FOO x", "",
    ] {
        let verb = line.split(' ').next().unwrap();
        let error = format!("E_INVALID cannot {verb} in current state (TLS required)");
        State::Init.refuses(nsqd, [(format!("{line}\n"), error)]).await;
    }
}

async fn identify_is_taken_without_tls_that_is_demanded<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&["--tls-required=true"]))).await;
    for (body, reply) in
        [("{}", "OK"), (r#"{"tls_v1":true}"#, "OK"), (r#"{"feature_negotiation":true}"#, r#""tls_v1":false"#)]
    {
        let mut client = nsqd.connect().await;
        client.send(command("IDENTIFY", body)).await;
        assert!(client.response().await.contains(reply));
        client.send("NOP\n").await;
        client.refused("E_INVALID cannot NOP in current state (TLS required)").await;
    }
}

async fn a_policy_demands_a_certificate<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&["--tls-client-auth-policy=require"]))).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (certificate, taken) in
            [(None, false), (Some(&certificates.client), true), (Some(&certificates.stranger), true)]
        {
            assert_eq!(upgraded(&nsqd, TlsClient { version, certificate }).await.is_some(), taken);
        }
    }
    // A policy demands TLS of everyone.
    refuses_clear_text(&nsqd).await;
    assert_eq!(nsqd.http().get("/ping").await.status, 403);
}

async fn a_policy_demands_a_certificate_of_the_ca<S: Side>() {
    let certificates = Certificates::new();
    let flags = certificates.flags(&["--tls-client-auth-policy=require-verify", &certificates.ca_flag()]);
    let nsqd = S::nsqd(&refs(&flags)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (certificate, taken) in
            [(None, false), (Some(&certificates.client), true), (Some(&certificates.stranger), false)]
        {
            assert_eq!(upgraded(&nsqd, TlsClient { version, certificate }).await.is_some(), taken);
        }
    }
    refuses_clear_text(&nsqd).await;
}

async fn a_ca_without_a_policy_asks_for_nothing<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&[&certificates.ca_flag()]))).await;
    for certificate in [None, Some(&certificates.client), Some(&certificates.stranger)] {
        let client = upgraded(&nsqd, TlsClient { version: &rustls::version::TLS13, certificate }).await;
        client.unwrap().stays().await;
    }
    State::Init.accepts(&nsqd, ["NOP\n"]).await;
}

async fn a_version_that_is_too_old_is_refused<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&["--tls-min-version=tls1.3"]))).await;
    assert!(upgraded(&nsqd, TlsClient { version: &rustls::version::TLS12, certificate: None }).await.is_none());
    assert!(upgraded(&nsqd, TlsClient { version: &rustls::version::TLS13, certificate: None }).await.is_some());
}

async fn no_handshake_is_told_in_clear_text<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&[]))).await;
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", IDENTIFY)).await;
    client.response().await;
    client.send("NOP\nNOP\nNOP\n").await;
    let error = client.any_error().await;
    assert!(error.starts_with("E_IDENTIFY_FAILED IDENTIFY failed "), "{error}");
    client.end().await;
    // One that never begins is given five seconds.
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", IDENTIFY)).await;
    client.response().await;
    let start = std::time::Instant::now();
    let error = client.any_error().await;
    assert!(error.starts_with("E_IDENTIFY_FAILED IDENTIFY failed "), "{error}");
    client.end().await;
    assert!(start.elapsed() > std::time::Duration::from_millis(4900), "given {:?}", start.elapsed());
}

async fn the_version_and_cipher_are_shown<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&[]))).await;
    for (version, shown) in [(&rustls::version::TLS12, "TLS1.2"), (&rustls::version::TLS13, "TLS1.3")] {
        let mut client = upgraded(&nsqd, TlsClient { version, certificate: None }).await.unwrap();
        client.send(format!("SUB t {shown}\n")).await;
        client.ok().await;
        let seen = &stats::channel(&nsqd, "t", shown).await["clients"][0];
        assert_eq!([&seen["tls"], &seen["tls_negotiated_protocol_is_mutual"]], [&json!(true); 2]);
        assert_eq!([&seen["tls_version"], &seen["tls_negotiated_protocol"]], [shown, ""]);
        assert!(!seen["tls_cipher_suite"].as_str().unwrap().is_empty());
    }
}

/// The answer to a request such as `GET /ping` at the HTTPS port.
async fn https(nsqd: &impl Nsqd, request: &str, body: &str) -> Answer {
    let mut socket = TlsClient::ANONYMOUS.connect(nsqd.https_address()).await.unwrap();
    let length = body.len();
    let request =
        format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    Answer::parse(&exchange(&mut socket, request.as_bytes()).await, false).unwrap()
}

async fn https_is_http_under_tls<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&[]))).await;
    assert_eq!(https(&nsqd, "POST /pub?topic=t", "x").await.text(), "OK");
    assert_eq!(https(&nsqd, "GET /nope", "").await.status, 404);
    let stats: serde_json::Value =
        serde_json::from_slice(&https(&nsqd, "GET /stats?format=json", "").await.body).unwrap();
    assert_eq!(stats["topics"][0]["depth"], 1);
    assert_eq!(nsqd.http().get("/ping").await.text(), "OK");
}

async fn a_policy_is_for_https_too<S: Side>() {
    let certificates = Certificates::new();
    let nsqd = S::nsqd(&refs(&certificates.flags(&["--tls-client-auth-policy=require"]))).await;
    let request = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (certificate, taken) in [(None, false), (Some(&certificates.client), true)] {
        let tls = TlsClient { version: &rustls::version::TLS13, certificate };
        let mut socket = tls.connect(nsqd.https_address()).await.unwrap();
        assert_eq!(!exchange(&mut socket, request).await.is_empty(), taken);
    }
}

async fn an_auth_server_is_told_of_the_certificate<S: Side>() {
    let certificates = Certificates::new();
    let auth = AuthServer::start().await;
    let flags = certificates.flags(&["--tls-client-auth-policy=require", "--tls-required=tcp-https", &auth.flag()]);
    let nsqd = S::nsqd(&refs(&flags)).await;
    for (certificate, name) in [(&certificates.client, "the+client"), (&certificates.stranger, "a+stranger")] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut client = upgraded(&nsqd, TlsClient { version, certificate: Some(certificate) }).await.unwrap();
            client.send(command("AUTH", "secret")).await;
            client.response().await;
            let request = &auth.requests()[0];
            assert!(request.contains("tls=true"), "{request}");
            assert!(request.contains(&format!("common_name={name}&")), "{request}");
        }
    }
}
