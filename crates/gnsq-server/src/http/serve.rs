//! Serves HTTP on a listener until it is told to stop.

use std::future::poll_fn;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::accept::{accept_each, close};
use crate::listen::{Listener, Socket};

/// Answers whoever comes to `listener`, under TLS if `tls` is given, until `stop` is cancelled; then every connection
/// ends at once, and with it what its handlers were doing.
///
/// Give it a `router` [with fallbacks](super::with_fallbacks).
pub(crate) async fn serve(listener: Listener, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    serve_at_most(MAX_CONNECTIONS, listener, tls, router, stop).await;
}

async fn serve_at_most(
    max_connections: usize,
    listener: Listener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
) {
    let refuse = |socket| {
        if tls.is_none() {
            refuse(&socket);
        }
    };
    // On its way to its task it would be there more than once.
    let serve = |socket, _| Box::pin(connection(socket, tls.clone(), router.clone()));
    accept_each(listener, max_connections, stop, serve, refuse).await;
}

async fn connection(socket: Socket, tls: Option<TlsAcceptor>, router: Router) {
    let Some(tls) = tls else { return speak(socket, router).await };
    // Most connections are without TLS, and need no room for it.
    match Box::pin(timeout(TLS_HANDSHAKE_TIMEOUT, tls.accept(socket))).await {
        Ok(Ok(socket)) => speak(Box::new(socket), router).await,
        Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake of an HTTP connection failed"),
        Err(_) => tracing::debug!("the TLS handshake of an HTTP connection took too long"),
    }
}

async fn speak(socket: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEADER)
        .max_buf_size(MAX_BUFFER)
        .half_close(true)
        // As Go writes them.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    // What isn't HTTP is answered too: 400, or 431 for endless headers.
    if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
        tracing::debug!(%error, "an HTTP connection failed");
    }
    close(connection.into_parts().io.into_inner()).await;
}

/// Says so if it can be said without waiting.
fn refuse(socket: &Socket) {
    let _ = match socket {
        Socket::Tcp(socket) => socket.try_write(TOO_MANY),
        #[cfg(unix)]
        Socket::Unix(socket) => socket.try_write(TOO_MANY),
    };
}

/// More than a server in memory is likely to have, and few enough that their buffers fit.
const MAX_CONNECTIONS: usize = 10_000;

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n\
    X-Nsq-Content-Type: nsq; version=1.0\r\nContent-Length: 34\r\nConnection: close\r\n\r\n\
    {\"message\":\"TOO_MANY_CONNECTIONS\"}";

/// Also how long a connection may idle between requests: longer than the 90 s after which the usual clients close it
/// themselves, so that no request meets a close.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

/// nsqd's deadline.
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

const MAX_HEADER: usize = 32 * 1024;

/// Bytes read at a time, of a header or a body.
const MAX_BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::{BodyError, HttpError, json, read_body, text, with_fallbacks};
    use super::*;
    use crate::listen::ListenAddress;
    use crate::tls::{ClientAuth, PemSource, TlsOptions, TlsRequired, TlsVersion, acceptor};

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    impl Server {
        async fn start(max_connections: usize) -> Self {
            let listener = Listener::bind(&ListenAddress::free_port()).await.unwrap();
            let address = listener.address().unwrap().tcp().unwrap();
            let stop = CancellationToken::new();
            let task =
                tokio::spawn(serve_at_most(max_connections, listener, None, with_fallbacks(routes()), stop.clone()));
            Self { address, stop, task }
        }

        /// What comes for `input`, until the server closes.
        async fn ask(&self, input: impl AsRef<[u8]>) -> String {
            let mut socket = TcpStream::connect(self.address).await.unwrap();
            // The server may have heard enough before the end.
            let _ = socket.write_all(input.as_ref()).await;
            let mut answer = Vec::new();
            timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await.expect("an end").unwrap();
            String::from_utf8(answer).unwrap()
        }

        async fn request(&self, line: &str) -> String {
            let answer = self.ask(format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
            // The date is not for comparing, and nobody needs to be told that the connection closes.
            let lines = answer.split("\r\n").filter(|line| !line.starts_with("Date:") && *line != "Connection: close");
            lines.collect::<Vec<_>>().join("\n")
        }
    }

    fn routes() -> Router {
        Router::new()
            .route("/ping", get(async || "OK"))
            .route("/stats", get(async || json(&[1, 2])))
            .route(
                "/pub",
                post(async |body: axum::body::Body| match read_body(body, 4).await {
                    Ok(_) => Ok(text("OK")),
                    Err(BodyError::TooLarge) => {
                        Err(HttpError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "MSG_TOO_BIG"))
                    }
                    Err(BodyError::Unreadable) => Err(HttpError::internal()),
                }),
            )
            .route("/config/{option}", get(async || "GET").put(async || "PUT"))
            .route("/debug/pprof/", get(async || "pprof"))
            .route("/panic", get(async || assert_eq!(1, 2, "a test's panic")))
            .route("/never", get(std::future::pending::<()>))
    }

    const MESSAGE: &str = "Content-Type: application/json; charset=utf-8\nX-Nsq-Content-Type: nsq; version=1.0\n";

    #[tokio::test]
    async fn answers_have_the_headers_of_the_real_servers() {
        let server = Server::start(10).await;
        for (request, expected) in [
            (
                "GET /ping",
                "HTTP/1.1 200 OK\nContent-Type: text/plain; charset=utf-8\nContent-Length: 2\n\nOK".to_owned(),
            ),
            ("GET /stats", format!("HTTP/1.1 200 OK\n{MESSAGE}Content-Length: 5\n\n[1,2]")),
            (
                "POST /pub",
                "HTTP/1.1 200 OK\nContent-Type: text/plain; charset=utf-8\nX-Nsq-Content-Type: nsq; version=1.0\n\
                 Content-Length: 2\n\nOK"
                    .to_owned(),
            ),
            (
                "GET /nope",
                format!("HTTP/1.1 404 Not Found\n{MESSAGE}Content-Length: 23\n\n{{\"message\":\"NOT_FOUND\"}}"),
            ),
            (
                "GET /panic",
                format!(
                    "HTTP/1.1 500 Internal Server Error\n{MESSAGE}Content-Length: 28\n\n{{\"message\":\"INTERNAL_ERROR\"}}"
                ),
            ),
            (
                "POST /ping",
                format!(
                    "HTTP/1.1 405 Method Not Allowed\n{MESSAGE}Allow: GET, OPTIONS\nContent-Length: 32\n\n\
                     {{\"message\":\"METHOD_NOT_ALLOWED\"}}"
                ),
            ),
            (
                "HEAD /ping",
                format!("HTTP/1.1 405 Method Not Allowed\n{MESSAGE}Allow: GET, OPTIONS\nContent-Length: 32\n\n"),
            ),
            ("OPTIONS /config/a", "HTTP/1.1 200 OK\nAllow: GET, OPTIONS, PUT\nContent-Length: 0\n\n".to_owned()),
            ("OPTIONS *", "HTTP/1.1 200 OK\nContent-Length: 0\n\n".to_owned()),
            (
                "GET /ping/?a=%22&b",
                "HTTP/1.1 301 Moved Permanently\nContent-Type: text/html; charset=utf-8\nLocation: /ping?a=%22&b\n\
                 Content-Length: 52\n\n<a href=\"/ping?a=%22&amp;b\">Moved Permanently</a>.\n\n"
                    .to_owned(),
            ),
            (
                "POST /pub/?topic=a",
                "HTTP/1.1 307 Temporary Redirect\nLocation: /pub?topic=a\nContent-Length: 0\n\n".to_owned(),
            ),
        ] {
            assert_eq!(server.request(request).await, expected, "{request}");
        }
    }

    #[tokio::test]
    async fn a_path_that_is_nearly_right_is_redirected_if_its_method_is() {
        let server = Server::start(10).await;
        for (request, expected) in [
            ("GET //ping", Some("/ping")),
            ("GET /PING/", Some("/ping")),
            ("GET /x/.././ping", Some("/ping")),
            ("GET /debug/pprof", Some("/debug/pprof/")),
            ("GET /config/log_level/", Some("/config/log_level")),
            ("GET /config/", None),
            ("GET /", None),
            ("GET /pub/", None),
            ("HEAD /ping/", None),
            ("OPTIONS /ping/", None),
        ] {
            let answer = server.request(request).await;
            let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
            assert_eq!(location, expected, "{request}: {answer}");
            assert_eq!(answer.starts_with("HTTP/1.1 404"), expected.is_none(), "{request}: {answer}");
        }
    }

    #[tokio::test]
    async fn what_is_not_http_is_answered_in_http() {
        let server = Server::start(10).await;
        for input in [
            &b"  V2"[..],
            b"  V1IDENTIFY\n",
            b"garbage\r\n\r\n",
            b"GET /ping HTTP/1.1\r\nbad\r\n\r\n",
            b"\x16\x03\x01\0",
        ] {
            let answer = server.ask(input).await;
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{}: {answer}", input.escape_ascii());
        }
        let endless = [b"GET /ping HTTP/1.1\r\nX: ", &b"a".repeat(600_000)[..]].concat();
        assert!(server.ask(&endless).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_answered_before_it_ends() {
        let server = Server::start(10).await;
        let head = "POST /pub HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        let announced = format!("{head}Content-Length: 5000000000\r\n\r\n{}", "a".repeat(100_000));
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n");
        for input in [announced, chunked] {
            assert!(server.ask(&input).await.starts_with("HTTP/1.1 413 "));
        }
        let broken = format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n");
        assert!(server.ask(&broken).await.starts_with("HTTP/1.1 500 "));
    }

    #[tokio::test]
    async fn a_connection_takes_one_request_after_the_other() {
        let server = Server::start(1).await;
        let one = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = server.ask(format!("{one}{one}GET /ping HTTP/1.0\r\n\r\n")).await;
        assert_eq!(answer.matches("\r\n\r\nOK").count(), 3, "{answer}");
    }

    #[tokio::test]
    async fn a_connection_too_many_is_told_so() {
        let server = Server::start(1).await;
        let mut first = TcpStream::connect(server.address).await.unwrap();
        first.write_all(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        assert!(server.ask("").await.ends_with("\r\n\r\n{\"message\":\"TOO_MANY_CONNECTIONS\"}"));
    }

    #[tokio::test]
    async fn everything_ends_at_once_when_it_is_stopped() {
        let server = Server::start(10).await;
        let mut waiting = TcpStream::connect(server.address).await.unwrap();
        waiting.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        server.request("GET /ping").await;
        server.stop.cancel();
        server.task.await.unwrap();
        assert_eq!(waiting.read(&mut [0; 1]).await.unwrap_or(0), 0);
        TcpStream::connect(server.address).await.unwrap_err();
    }

    #[tokio::test]
    async fn requests_come_over_tls_too() {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let options = TlsOptions {
            certificate: PemSource::Text(key.cert.pem().into()),
            key: PemSource::Text(key.signing_key.serialize_pem().into()),
            root_ca: None,
            client_auth: ClientAuth::None,
            required: TlsRequired::No,
            min_version: TlsVersion::Tls12,
        };
        let listener = Listener::bind(&ListenAddress::free_port()).await.unwrap();
        let address = listener.address().unwrap().tcp().unwrap();
        let stop = CancellationToken::new();
        let tls = acceptor(&options).unwrap();
        tokio::spawn(serve(listener, Some(tls), with_fallbacks(routes()), stop.clone()));
        let _stop = stop.drop_guard();

        let mut roots = rustls::RootCertStore::empty();
        roots.add(key.cert.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let socket = TcpStream::connect(address).await.unwrap();
        let mut socket = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        socket.write_all(b"GET /ping HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nOK"), "{answer}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn requests_come_over_a_unix_socket_too() {
        let path = std::env::temp_dir().join(format!("gnsq-http-{}.sock", std::process::id()));
        let listener = Listener::bind(&ListenAddress::Unix(path.clone())).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, None, with_fallbacks(routes()), stop.clone()));
        let _stop = stop.drop_guard();
        let mut socket = tokio::net::UnixStream::connect(path).await.unwrap();
        socket.write_all(b"GET /ping HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
    }
}
