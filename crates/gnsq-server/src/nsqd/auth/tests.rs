//! What is asked of auth servers, and what is made of their answers.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// An HTTP server that answers every request with the same bytes, and tells what was asked.
struct AuthServer {
    address: String,
    requests: mpsc::UnboundedReceiver<String>,
}

impl AuthServer {
    async fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (answer, seen) = (answer.clone(), seen.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(socket.read_u8().await?);
                    }
                    let _ = seen.send(String::from_utf8(head).unwrap());
                    socket.write_all(&answer).await
                });
            }
        });
        Self { address, requests }
    }

    async fn answering(answer: &Value) -> Self {
        Self::start(http("200 OK", &answer.to_string())).await
    }

    fn requests(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

fn authority(addresses: &[&str]) -> Result<Authority, AuthError> {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    Authority::new(&addresses, Duration::from_secs(10), Duration::from_secs(10), Clock::manual())
}

async fn query(addresses: &[&str]) -> Result<Grant, AuthError> {
    authority(addresses).unwrap().query("10.0.0.1", false, "", &Secret::from("hunter2")).await
}

fn everything() -> Value {
    json!([{"topic": ".*", "channels": [".*"], "permissions": ["subscribe", "publish"]}])
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn granted(authorizations: &Value) -> Grant {
    let answer = json!({"ttl": 1, "authorizations": authorizations});
    Grant::new(serde_json::from_value(answer).unwrap(), Tick::default()).unwrap()
}

#[tokio::test]
async fn asks_as_nsqd_asks() {
    let answer = json!({"ttl": 60, "identity": "me", "identity_url": "http://who", "authorizations": everything()});
    let mut server = AuthServer::answering(&answer).await;
    let authority = authority(&[&server.address]).unwrap();
    let secret = Secret::from(&b"s3 cr&t/+~._-*'()!\xc3\xa4\0\xff"[..]);
    let grant = authority.query("::1", true, "sec ond", &secret).await.unwrap();
    assert_eq!((grant.identity.as_str(), grant.identity_url.as_str()), ("me", "http://who"));
    assert_eq!(grant.permission_count(), 1);
    let request = server.requests.recv().await.unwrap();
    let (line, headers) = request.split_once("\r\n").unwrap();
    assert_eq!(
        line,
        "GET /auth?common_name=sec+ond&remote_ip=%3A%3A1\
         &secret=s3+cr%26t%2F%2B~._-%2A%27%28%29%21%C3%A4%00%FF&tls=true HTTP/1.1"
    );
    assert!(headers.contains("accept: application/vnd.nsq; version=1.0\r\n"), "{headers}");
}

#[tokio::test]
async fn a_url_is_taken_as_it_is() {
    let mut server = AuthServer::answering(&json!({"ttl": 1})).await;
    for (path, asked) in
        [("/x/y", "GET /x/y?common_name="), ("/x?a=b", "GET /x?a=b&common_name="), ("", "GET /?common")]
    {
        query(&[&format!("http://{}{path}", server.address)]).await.unwrap();
        let request = server.requests.recv().await.unwrap();
        assert!(request.starts_with(asked), "{request}");
    }
    for (address, reason) in [("ftp://a/auth", "http or https"), ("a b", "invalid"), ("http://a/#b", "fragment")] {
        let error = authority(&[address]).unwrap_err().to_string();
        assert!(error.contains(address) && error.contains(reason), "{error}");
    }
    authority(&["https://a/auth"]).unwrap();
}

#[tokio::test]
async fn one_server_after_the_other_is_asked_the_first_by_chance() {
    let mut wrong = AuthServer::start(http("500 Internal Server Error", "boom")).await;
    let mut right = AuthServer::answering(&json!({"ttl": 1, "authorizations": everything()})).await;
    let authority = authority(&[&wrong.address, &right.address]).unwrap();
    for _ in 0..100 {
        authority.query("", false, "", &Secret::from("s")).await.unwrap();
    }
    assert_eq!(right.requests(), 100);
    // By chance, either is the first one every time once in 2^99 runs.
    let wrong_first = wrong.requests();
    assert!((1..100).contains(&wrong_first), "{wrong_first} of 100");
}

#[tokio::test]
async fn when_all_fail_each_ones_reason_is_told_and_the_secret_is_not() {
    let refusing = AuthServer::start(http("403 Forbidden", "{\"message\":\"no\"}")).await;
    let closing = AuthServer::start(Vec::new()).await;
    let error = query(&[&refusing.address, &closing.address]).await.unwrap_err();
    let text = error.to_string();
    let refused = format!("failed to auth against {} - got response 403 Forbidden \"{{\\\"message", refusing.address);
    assert!(
        text.contains(&refused) && text.contains(&format!("failed to auth against {} - ", closing.address)),
        "{text}"
    );
    assert!(!format!("{text} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_grant_is_a_failure() {
    let with = |name: &str, value: Value| {
        let mut answer = json!({"ttl": 60, "identity": "me", "authorizations": everything()});
        answer[name] = value;
        answer.to_string()
    };
    let authorization = |name: &str, value: Value| {
        let mut authorizations = everything();
        authorizations[0][name] = value;
        with("authorizations", authorizations)
    };
    for (body, reason) in [
        (with("ttl", json!(0)), "invalid TTL 0 (must be >0)"),
        (with("ttl", json!(-5)), "invalid TTL -5 (must be >0)"),
        (with("ttl", Value::Null), "invalid TTL 0 (must be >0)"),
        (with("ttl", json!(1.5)), "invalid type"),
        (with("ttl", json!("5")), "invalid type"),
        (with("identity", json!(5)), "invalid type"),
        (authorization("permissions", json!(["publish", "admin"])), "unknown permission admin"),
        (authorization("topic", json!("(")), "unable to compile topic \"(\""),
        (authorization("channels", json!(["a", "[b"])), "unable to compile channel \"[b\""),
        (authorization("channels", vec!["c"; MAX_PATTERNS].into()), "more than 10000 topics and channels"),
        (authorization("topic", json!("(a{1000}){1000}")), "unable to compile topic"),
        ("{}".to_owned(), "invalid TTL 0"),
        ("not json".to_owned(), "expected"),
        (String::new(), "EOF"),
        (with("identity", Value::Null) + " and more", "trailing characters"),
        (with("identity", "i".repeat(MAX_ANSWER).into()), "more than 1048576 bytes"),
    ] {
        let server = AuthServer::start(http("200 OK", &body)).await;
        let error = query(&[&server.address]).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{reason:?} is not in {error}");
    }
    // Anything but 200 is a failure, also where the answer would do.
    let server = AuthServer::start(http("201 Created", &with("identity", Value::Null))).await;
    query(&[&server.address]).await.unwrap_err();
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(MAX_ANSWER + 100_000, b' ');
    let server = AuthServer::start(endless).await;
    let error = query(&[&server.address]).await.unwrap_err().to_string();
    assert!(error.contains("more than"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let timeout = Duration::from_millis(50);
    let authority = Authority::new(&[address], timeout, timeout, Clock::system()).unwrap();
    authority.query("", false, "", &Secret::from("s")).await.unwrap_err();
}

#[tokio::test]
async fn a_grant_holds_for_its_time_by_the_servers_clock() {
    let server = AuthServer::answering(&json!({"ttl": 60})).await;
    let clock = Clock::manual();
    let timeout = Duration::from_secs(10);
    let authority = Authority::new(&[server.address], timeout, timeout, clock.clone()).unwrap();
    let grant = authority.query("", false, "", &Secret::from("s")).await.unwrap();
    assert_eq!(grant.permission_count(), 0);
    clock.advance(Duration::from_secs(60));
    assert!(!grant.is_expired(clock.now()));
    clock.advance(Duration::from_nanos(1));
    assert!(grant.is_expired(clock.now()));
    let longest = json!({"ttl": i64::MAX});
    let grant = Grant::new(serde_json::from_value(longest).unwrap(), clock.now()).unwrap();
    assert!(!grant.is_expired(clock.now()));
}

#[test]
fn patterns_match_anywhere_and_a_publish_has_an_empty_channel() {
    let channel = ChannelName::new("archive").unwrap();
    let publish = |grant: &Grant, name| grant.allows(&topic(name), None, Permission::Publish);
    let subscribe = |grant: &Grant, name| grant.allows(&topic(name), Some(&channel), Permission::Subscribe);

    let all = granted(&everything());
    assert!(publish(&all, "orders") && subscribe(&all, "orders"));

    let part = granted(&json!([{"topic": "rde", "channels": ["^$"], "permissions": ["publish"]}]));
    assert!(publish(&part, "orders") && !publish(&part, "bills") && !subscribe(&part, "orders"));

    let named = granted(&json!([{"topic": "^a$", "channels": ["x", "arch"], "permissions": ["publish", "subscribe"]}]));
    assert!(subscribe(&named, "a") && !subscribe(&named, "ab"));
    assert!(!publish(&named, "a"), "its channels don't match the empty one");

    let two = granted(&json!([
        {"topic": "a", "channels": [".*"], "permissions": ["publish"]},
        {"topic": "b", "channels": [""], "permissions": ["subscribe"]},
    ]));
    assert!(publish(&two, "a") && !subscribe(&two, "a") && !publish(&two, "b") && subscribe(&two, "b"));
    assert_eq!(two.permission_count(), 2);
}

#[test]
fn what_is_left_out_grants_nothing() {
    for authorization in [
        json!({}),
        json!({"topic": "", "channels": [], "permissions": ["publish"]}),
        json!({"topic": "", "channels": null, "permissions": ["publish"]}),
        json!({"topic": "", "channels": [""], "permissions": null}),
    ] {
        let grant = granted(&json!([authorization]));
        assert!(!grant.allows(&topic("a"), None, Permission::Publish), "{authorization}");
        assert_eq!(grant.permission_count(), 1);
    }
}
