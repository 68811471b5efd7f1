//! Requests without a method of their own.

use gnsq::HttpError;
use gnsq::http::{RawAnswer, RawClient};
use gnsq_testkit::Nsqd;

fn shown(answer: &RawAnswer) -> (u16, Option<&str>, &[u8]) {
    (answer.status, answer.content_type.as_deref(), &answer.body)
}

#[tokio::test]
async fn an_answer_comes_as_it_is_whatever_its_status() {
    let nsqd = Nsqd::start().await;
    let client = RawClient::builder(nsqd.http_address().to_string()).build().unwrap();
    assert_eq!(client.address(), format!("http://{}/", nsqd.http_address()));
    let answer = client.send("POST", "/pub", &[("topic", "t")], "tea").await.unwrap();
    assert_eq!(shown(&answer), (200, Some("text/plain; charset=utf-8"), &b"OK"[..]));
    let answer = client.send("POST", "channel/create", &[("topic", "none"), ("channel", "é&")], "").await.unwrap();
    assert_eq!(answer.status, 400);
    let answer = client.send("POST", "/topic/delete", &[("topic", "none")], "").await.unwrap();
    let json = Some("application/json; charset=utf-8");
    assert_eq!(shown(&answer), (404, json, &br#"{"message":"TOPIC_NOT_FOUND"}"#[..]));
}

#[tokio::test]
async fn what_is_no_method_is_refused() {
    let client = RawClient::builder("127.0.0.1:1").build().unwrap();
    let error = client.send("GET /", "/ping", &[], "").await.unwrap_err();
    assert!(matches!(error, HttpError::InvalidOption { option: "method", .. }), "{error}");
}
