//! to_nsq.

use gnsq_server::Nsqd;

use crate::tool::Tool;

#[tokio::test]
async fn to_nsq_publishes_lines() {
    let nsqd = Nsqd::start().await.unwrap();
    let arguments = ["--topic=lines".to_owned(), format!("--nsqd-tcp-address={}", nsqd.tcp_address())];
    let (status, output) = Tool::start_with_input("to_nsq", &arguments, "one\ntwo\nthree\n").end().await;
    assert!(status.success(), "{}", output.join("\n"));
    let now = nsqd.stats();
    let topic = now.topic("lines").unwrap();
    assert_eq!((topic.message_count, topic.message_bytes, topic.depth), (3, 11, 3));
}
