//! PUB and DPUB, MPUB: what they take and what they refuse.

use crate::server::{Nsqd, Side};
use crate::state::State;
use crate::stats;
use crate::wire::{command, mpub, numbers};

conformance! {
    publishing_is_allowed_in_every_state,
    pub_needs_a_valid_topic,
    a_message_has_one_to_max_msg_size_bytes,
    a_message_that_is_cut_off_is_refused,
    the_body_may_be_any_bytes,
    dpub_needs_a_delay_that_is_allowed,
    mpub_needs_a_valid_topic,
    mpub_is_bounded_as_a_whole_and_in_each_part,
    mpub_trusts_the_parts_not_the_whole,
    mpub_that_is_refused_publishes_nothing,
    what_was_published_is_counted,
}

async fn publishing_is_allowed_in_every_state<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in State::ALL {
        let commands = [
            (command("PUB p", "x"), "OK"),
            (command("PUB p more of it", "x"), "OK"),
            (command("PUB p\r", "x"), "OK"),
            (command("PUB p#ephemeral", "x"), "OK"),
            (command("DPUB p 1", "x"), "OK"),
            (command("DPUB p 1 more", "x"), "OK"),
            (mpub("p", &["x", "y"]), "OK"),
            (mpub("p more", &["x"]), "OK"),
        ];
        state.answers(&nsqd, commands).await;
    }
}

async fn pub_needs_a_valid_topic<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let too_long = "a".repeat(65);
    for verb in ["PUB", "DPUB"] {
        let few = format!("E_INVALID {verb} insufficient number of parameters");
        State::Init.refuses(&nsqd, [(format!("{verb}\n"), few)]).await;
        // The topic is judged before the rest of the line, and before the body is there.
        for (line, topic) in
            [("bad!", "bad!"), ("", ""), (" t", ""), (&too_long, &too_long), ("bad! x", "bad!"), ("a\"", "a\\\"")]
        {
            let line = if verb == "DPUB" { format!("{verb} {line} x\n") } else { format!("{verb} {line}\n") };
            let error = format!("E_BAD_TOPIC {verb} topic name \"{topic}\" is not valid");
            State::Init.refuses(&nsqd, [(line, error)]).await;
        }
    }
    State::Init.refuses(&nsqd, [("DPUB t\n", "E_INVALID DPUB insufficient number of parameters")]).await;
    State::Init.refuses(&nsqd, [("DPUB bad!\n", "E_INVALID DPUB insufficient number of parameters")]).await;
}

async fn a_message_has_one_to_max_msg_size_bytes<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=10"]).await;
    for line in ["PUB t", "DPUB t 1"] {
        let verb = line.split(' ').next().unwrap();
        State::Init.answers(&nsqd, [(command(line, "x"), "OK"), (command(line, "x".repeat(10)), "OK")]).await;
        let sizes = [(0, ""), (-1, ""), (i32::MIN, ""), (11, "too big"), (i32::MAX, "too big")];
        let refusals = sizes.map(|(size, too_big)| {
            let error = match too_big {
                "" => format!("E_BAD_MESSAGE {verb} invalid message body size {size}"),
                _ => format!("E_BAD_MESSAGE {verb} message too big {size} > 10"),
            };
            (numbers(line, &[size]), error)
        });
        State::Init.refuses(&nsqd, refusals).await;
    }
}

async fn a_message_that_is_cut_off_is_refused<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for line in ["PUB t", "DPUB t 1"] {
        let verb = line.split(' ').next().unwrap();
        for (sent, what) in [
            (format!("{line}\n"), "message body size"),
            (format!("{line}\n\0\0\0"), "message body size"),
            (format!("{line}\n\0\0\0\x02"), "message body"),
            (format!("{line}\n\0\0\0\x02x"), "message body"),
        ] {
            let mut client = nsqd.connect().await;
            client.send(sent).await;
            client.end_sending().await;
            client.refused(format!("E_BAD_MESSAGE {verb} failed to read {what}")).await;
        }
    }
    let mut client = nsqd.connect().await;
    client.send("PUB t").await;
    client.end_sending().await;
    client.end().await;
    assert!(stats::topic(&nsqd, "t").await.is_null());
}

async fn the_body_may_be_any_bytes<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut consumer = nsqd.subscriber("t", "c").await;
    consumer.send("RDY 1\n").await;
    let mut producer = nsqd.connect().await;
    for body in ["\n", "PUB t\n\0\0\0\x01x", "\0\r\n\u{7f}", "é"] {
        producer.send(command("PUB t", body)).await;
        producer.ok().await;
        let message = consumer.message().await;
        assert_eq!(message.body, body);
        consumer.send(format!("FIN {}\n", message.id)).await;
    }
    let large = "x".repeat(1024 * 1024);
    producer.send(command("PUB t", &large)).await;
    producer.ok().await;
    assert!(consumer.message().await.body == large);
}

async fn dpub_needs_a_delay_that_is_allowed<S: Side>() {
    let nsqd = S::nsqd(&["--max-req-timeout=10s"]).await;
    // The empty delay is 0, and overflow wraps.
    for delay in ["0", "1", "10000", "010", "", "18446744073709551617"] {
        State::Init.answers(&nsqd, [(command(&format!("DPUB t {delay}"), "x"), "OK")]).await;
    }
    for delay in ["-1", "+5", "x", "1.5", "1e3", "0x1"] {
        let error = format!("E_INVALID DPUB could not parse timeout {delay}");
        State::Init
            .refuses(&nsqd, [(format!("DPUB t {delay}\n"), &error), (format!("DPUB t {delay}\n\0\0\0\0"), &error)])
            .await;
    }
    for (delay, read) in [
        ("10001", "10001"),
        ("9223372036854775807", "9223372036854775807"),
        ("99999999999999999999", "7766279631452241919"),
        ("18446744073709", "18446744073709"),
    ] {
        let error = format!("E_INVALID DPUB timeout {read} out of range 0-10000");
        State::Init.refuses(&nsqd, [(format!("DPUB t {delay}\n"), error)]).await;
    }
}

async fn mpub_needs_a_valid_topic<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    State::Init.refuses(&nsqd, [("MPUB\n", "E_INVALID MPUB insufficient number of parameters")]).await;
    for (topic, quoted) in [("bad!", "bad!"), ("", ""), ("a\"", "a\\\"")] {
        // The code comes twice.
        let error = format!("E_BAD_TOPIC E_BAD_TOPIC MPUB topic name \"{quoted}\" is not valid");
        State::Init.refuses(&nsqd, [(format!("MPUB {topic}\n"), error)]).await;
    }
}

async fn mpub_is_bounded_as_a_whole_and_in_each_part<S: Side>() {
    let nsqd = S::nsqd(&["--max-msg-size=100", "--max-body-size=1000"]).await;
    let refusals = [
        (&[0][..], "E_BAD_BODY MPUB invalid body size 0"),
        (&[-1], "E_BAD_BODY MPUB invalid body size -1"),
        (&[1001], "E_BAD_BODY MPUB body too big 1001 > 1000"),
        (&[i32::MAX], "E_BAD_BODY MPUB body too big 2147483647 > 1000"),
        (&[4, 0], "E_BAD_BODY MPUB invalid message count 0"),
        (&[8, -1], "E_BAD_BODY MPUB invalid message count -1"),
        // As many messages as can be in the largest body: (1000 - 4) / 5.
        (&[1000, 200], "E_BAD_BODY MPUB invalid message count 200"),
        (&[1000, 199, 0], "E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
        (&[8, 1, 0], "E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
        (&[8, 1, -1], "E_BAD_MESSAGE MPUB invalid message(0) body size -1"),
        (&[8, 1, 101], "E_BAD_MESSAGE MPUB message too big 101 > 100"),
        (&[16, 2, 4, 0, 0], "E_BAD_MESSAGE MPUB invalid message(1) body size 0"),
        (&[16, 2, 4, 0, 101], "E_BAD_MESSAGE MPUB message too big 101 > 100"),
    ];
    State::Init.refuses(&nsqd, refusals.map(|(parts, error)| (numbers("MPUB t", parts), error))).await;
    let largest = "x".repeat(100);
    State::Init.answers(&nsqd, [(mpub("t", &[&*largest; 9]), "OK")]).await;
    State::Init.answers(&nsqd, [(mpub("t", &["x"; 199]), "OK")]).await;

    for (parts, error) in [
        (&[][..], "E_BAD_BODY MPUB failed to read body size"),
        (&[8], "E_BAD_BODY MPUB failed to read message count"),
        (&[8, 1], "E_BAD_MESSAGE MPUB failed to read message(0) body size"),
        (&[8, 1, 5, 0], "E_BAD_MESSAGE MPUB failed to read message body"),
        (&[8, 2, 4, 0], "E_BAD_MESSAGE MPUB failed to read message(1) body size"),
    ] {
        let mut client = nsqd.connect().await;
        client.send(numbers("MPUB t", parts)).await;
        client.end_sending().await;
        client.refused(error).await;
    }
}

async fn mpub_trusts_the_parts_not_the_whole<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for total in [1, 13, 1000] {
        let sent = numbers("MPUB t", &[total, 2, 4, i32::from_be_bytes(*b"abcd"), 4, i32::from_be_bytes(*b"efgh")]);
        State::Init.answers(&nsqd, [(sent, "OK")]).await;
    }
    let mut consumer = nsqd.subscriber("t", "c").await;
    consumer.send("RDY 10\n").await;
    let mut bodies = Vec::new();
    for _ in 0..6 {
        bodies.push(consumer.message().await.body);
    }
    bodies.sort();
    assert_eq!(bodies, ["abcd", "abcd", "abcd", "efgh", "efgh", "efgh"]);
}

async fn mpub_that_is_refused_publishes_nothing<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    State::Init.answers(&nsqd, [(mpub("t", &["x"]), "OK")]).await;
    let error = "E_BAD_MESSAGE MPUB invalid message(1) body size 0";
    State::Init.refuses(&nsqd, [(mpub("t", &["a", "", "c"]), error)]).await;
    assert_eq!(stats::topic(&nsqd, "t").await["message_count"], 1);
}

async fn what_was_published_is_counted<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    for sent in [command("PUB t", "four"), mpub("t", &["four", "fives", "x"]), command("DPUB t 60000", "ten bytes.")] {
        client.send(sent).await;
        client.ok().await;
    }
    let topic = stats::topic(&nsqd, "t").await;
    let counts = ["depth", "message_count", "message_bytes"].map(|key| topic[key].as_u64().unwrap());
    assert_eq!(counts, [5, 5, 24]);
    let producer = &nsqd.http().json("/stats?format=json").await["producers"][0];
    assert_eq!(producer["pub_counts"], serde_json::json!([{"topic": "t", "count": 5}]));
}
