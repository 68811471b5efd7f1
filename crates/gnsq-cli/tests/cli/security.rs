//! TLS, compression and AUTH, as given on the command line, in the environment and in files.

use std::fs;
use std::path::PathBuf;

use gnsq_testkit::{DEADLINE, Nsqd, NsqdBuilder, eventually};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Running, at, gnsq, published, run, take};

/// An authority, and what it has signed, in files.
struct Certificates {
    directory: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, &key);
        for (file, name) in [("server", "127.0.0.1"), ("other", "nsqd.example"), ("client", "client.example")] {
            let own = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
            fs::write(directory.path().join(format!("{file}.pem")), certificate.pem()).unwrap();
            fs::write(directory.path().join(format!("{file}-key.pem")), own.serialize_pem()).unwrap();
        }
        Self { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.pem"))
    }

    fn option(&self, option: &str, name: &str) -> String {
        format!("--{option}={}", self.file(name).display())
    }

    /// An nsqd that shows a certificate and wants TLS for its TCP protocol.
    fn nsqd(&self, name: &str) -> NsqdBuilder {
        Nsqd::builder()
            .arg(self.option("tls-cert", name))
            .arg(self.option("tls-key", &format!("{name}-key")))
            .arg("--tls-required=tcp-https")
    }
}

#[tokio::test]
async fn speaks_tls_with_an_authority_of_its_own() {
    let certificates = Certificates::new();
    let nsqd = certificates.nsqd("server").start().await;
    let ca = certificates.option("tls-ca-file", "ca");
    run(["pub", "t", "x", &ca, &at(&nsqd)], "").await.expect(0);
    let tail = ["tail", "t", "--channel=c", "-n1", "--tls-min-version=tls1.3", &ca, &at(&nsqd)];
    assert_eq!(run(tail, "").await.expect(0).lines, ["x"]);
    let https = format!("--nsqd-http-address=https://{}", nsqd.https_address());
    assert_eq!(run(["nodes", "--json", &ca, &https], "").await.expect(0).lines.len(), 1);
    run(["nodes", &https], "").await.expect(1);
}

#[tokio::test]
async fn tells_why_tls_does_not_come_about() {
    let certificates = Certificates::new();
    let nsqd = certificates.nsqd("other").start().await;
    let (ca, address) = (certificates.option("tls-ca-file", "ca"), at(&nsqd));
    for (arguments, reason) in [
        (vec!["pub", "t", "x", "--tls", &address], "certificate"),
        (vec!["pub", "t", "x", &ca, &address], "certificate"),
    ] {
        let failed = run(&arguments, "").await.expect(1);
        assert!(failed.stderr.contains(reason), "{arguments:?}: {}", failed.stderr);
    }
    let refused = run(["pub", "t", "x", &address], "").await.expect(3);
    assert!(refused.stderr.contains("TLS required"), "{}", refused.stderr);
    run(["pub", "t", "x", &ca, "--tls-server-name=nsqd.example", &address], "").await.expect(0);
    run(["pub", "t", "x", "--tls-insecure-skip-verify", &address], "").await.expect(0);
    assert_eq!(published(&nsqd, "t").await, 2);
    let plain = Nsqd::start().await;
    let declined = run(["pub", "t", "x", "--tls", &at(&plain)], "").await.expect(1);
    assert!(declined.stderr.contains("nsqd declines tls_v1"), "{}", declined.stderr);
    assert_eq!(published(&plain, "t").await, 0);
}

#[tokio::test]
async fn shows_a_certificate_to_an_nsqd_that_asks_for_one() {
    let certificates = Certificates::new();
    let verify = certificates.option("tls-root-ca-file", "ca");
    let nsqd = certificates.nsqd("server").arg("--tls-client-auth-policy=require-verify").arg(verify).start().await;
    let (ca, address) = (certificates.option("tls-ca-file", "ca"), at(&nsqd));
    run(["pub", "t", "x", &ca, &address], "").await.expect(1);
    let (certificate, key) = (certificates.option("tls-cert", "client"), certificates.option("tls-key", "client-key"));
    run(["pub", "t", "x", &ca, &certificate, &key, &address], "").await.expect(0);
    // The key may be in the same file.
    let both = certificates.file("both");
    let text = ["client", "client-key"].map(|name| fs::read_to_string(certificates.file(name)).unwrap());
    fs::write(&both, text.concat()).unwrap();
    let both = certificates.option("tls-cert", "both");
    run(["pub", "t", "x", &ca, &both, &address], "").await.expect(0);
    let https = format!("--nsqd-http-address=https://{}", nsqd.https_address());
    run(["nodes", &ca, &both, &https], "").await.expect(0);
}

#[tokio::test]
async fn compresses() {
    let nsqd = Nsqd::start().await;
    for (option, field, level) in
        [("--snappy", "snappy", 0), ("--deflate", "deflate", 6), ("--deflate=3", "deflate", 3)]
    {
        let mut tail = Running::start(gnsq(["tail", "t", "--channel=c", option, &at(&nsqd)]));
        nsqd.publish("t", option).await;
        assert_eq!(tail.line().await, option);
        let stats = nsqd.stats().await;
        let client = &stats["topics"][0]["channels"][0]["clients"][0];
        assert_eq!(client[field], true, "{client}");
        let asked = format!("Deflate:{} DeflateLevel:{level} ", level > 0);
        // The log is read behind nsqd's back, and may lag.
        eventually(DEADLINE, &asked, async || nsqd.log().contains(&asked).then_some(())).await;
        tail.interrupt();
        tail.finish().await.expect(130);
    }
    run(["pub", "t", "x", "--snappy", "--deflate", &at(&nsqd)], "").await.expect(2);
}

#[tokio::test]
async fn gives_the_secret_and_shows_it_nowhere() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let auth = format!("--auth-http-address={}", server.local_addr().unwrap());
    tokio::spawn(grant_to_the_right_one(server));
    let nsqd = Nsqd::builder().arg(auth).start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, "open-sesame\n").unwrap();
    let from_file = format!("--auth-secret-file={}", file.display());
    run(["pub", "t", "one", &from_file, &at(&nsqd)], "").await.expect(0);
    let mut command = gnsq(["pub", "t", "two", &at(&nsqd)]);
    command.env("GNSQ_AUTH_SECRET", "open-sesame");
    Running::start(command).finish().await.expect(0);
    run(["pub", "t", "three", "--auth-secret=open-sesame", &at(&nsqd)], "").await.expect(0);
    assert_eq!(published(&nsqd, "t").await, 3);

    let wrong = ["pub", "t", "x", "-vvv", "--auth-secret=hocus-pocus", &at(&nsqd)];
    let failed = run(wrong, "").await.expect(1);
    assert!(failed.stderr.contains("E_UNAUTHORIZED"), "{}", failed.stderr);
    assert!(!failed.stderr.contains("hocus-pocus"), "{}", failed.stderr);
    let failed = run(["pub", "t", "x", &at(&nsqd)], "").await.expect(1);
    assert!(failed.stderr.contains("AUTH"), "{}", failed.stderr);
    run(["pub", "t", "x", "--auth-secret=a", &from_file, &at(&nsqd)], "").await.expect(2);
    let tail = ["tail", "t", "--channel=c", "-n3", &from_file, &at(&nsqd)];
    assert_eq!(run(tail, "").await.expect(0).lines.len(), 3);
}

#[tokio::test]
async fn a_unix_socket_is_an_address() {
    let nsqd = Nsqd::builder().unix_socket().start().await;
    let address = format!("--nsqd-tcp-address={}", nsqd.unix_path().display());
    run(["pub", "t", "x", &address], "").await.expect(0);
    eventually(DEADLINE, "the message", async || (published(&nsqd, "t").await == 1).then_some(())).await;
}

#[tokio::test]
async fn tls_and_plain_nsqds_are_not_mixed_up() {
    let nsqd = Nsqd::start().await;
    run(["pub", "t", "x", "--tls=false", &at(&nsqd)], "").await.expect(0);
    assert_eq!(take(&nsqd, "t", "c", 1).await, ["x"]);
}

/// An auth server that lets those with the right secret do everything.
async fn grant_to_the_right_one(listener: TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if socket.read_exact(&mut byte).await.is_err() {
                break;
            }
            request.extend(byte);
        }
        let grant = r#"{"topic":".*","channels":[".*"],"permissions":["publish","subscribe"]}"#;
        let grant = if String::from_utf8_lossy(&request).contains("secret=open-sesame") { grant } else { "" };
        let body = format!(r#"{{"ttl":3600,"identity":"me","authorizations":[{grant}]}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = socket.write_all((head + &body).as_bytes()).await;
    }
}
