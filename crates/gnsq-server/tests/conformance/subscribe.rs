//! SUB and RDY: when they are taken, and which names and numbers.

use crate::server::{Nsqd, Side};
use crate::state::State;
use crate::stats;
use crate::wire::command;

conformance! {
    sub_takes_valid_names_only,
    sub_makes_the_topic_and_the_channel,
    sub_is_taken_once,
    sub_needs_heartbeats,
    a_channel_takes_as_many_consumers_as_it_may,
    rdy_takes_these_forms_of_a_number,
    rdy_is_bounded_by_the_servers_maximum,
    rdy_needs_a_subscription,
    rdy_is_passed_over_while_closing,
    cls_is_taken_once_and_of_a_subscriber,
}

async fn sub_takes_valid_names_only<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let longest = "a".repeat(64);
    let ephemeral = format!("{}#ephemeral", "a".repeat(54));
    for name in [&*longest, &*ephemeral, "a#ephemeral", ".", "-", "_", "a.b-c_D9", "0"] {
        State::Init.answers(&nsqd, [(format!("SUB {name} c\n"), "OK"), (format!("SUB t {name}\n"), "OK")]).await;
    }
    State::Init.answers(&nsqd, [("SUB t c more of it\n", "OK"), ("SUB t c\r\n", "OK")]).await;

    let too_long = "a".repeat(65);
    let too_long_ephemeral = format!("{}#ephemeral", "a".repeat(55));
    let bad: [(&[u8], &str); 13] = [
        (b"bad!", "bad!"),
        (b"", ""),
        (too_long.as_bytes(), &too_long),
        (too_long_ephemeral.as_bytes(), &too_long_ephemeral),
        (b"#ephemeral", "#ephemeral"),
        (b"a#ephemeralx", "a#ephemeralx"),
        (b"a#ephemeral#ephemeral", "a#ephemeral#ephemeral"),
        (b"a#eph", "a#eph"),
        (b"a\"b\\", r#"a\"b\\"#),
        (b"\xffa", r"\xffa"),
        (b"a\tb\x01\x7f\r", r"a\tb\x01\x7f\r"),
        ("aé\u{200b}".as_bytes(), r"aé\u200b"),
        (b"\0\x07", r"\x00\a"),
    ];
    for (name, quoted) in bad {
        let topic = [b"SUB ", name, b" c\n"].concat();
        let error = format!(r#"E_BAD_TOPIC SUB topic name "{quoted}" is not valid"#);
        State::Init.refuses(&nsqd, [(topic, error)]).await;
        let channel = [b"SUB t ", name, b" x\n"].concat();
        let error = format!(r#"E_BAD_CHANNEL SUB channel name "{quoted}" is not valid"#);
        State::Init.refuses(&nsqd, [(channel, error)]).await;
    }
    let refusals = [
        ("SUB\n", "E_INVALID SUB insufficient number of parameters"),
        ("SUB t\n", "E_INVALID SUB insufficient number of parameters"),
        ("SUB bad!\n", "E_INVALID SUB insufficient number of parameters"),
        ("SUB bad! bad!\n", r#"E_BAD_TOPIC SUB topic name "bad!" is not valid"#),
        ("SUB  t c\n", r#"E_BAD_TOPIC SUB topic name "" is not valid"#),
    ];
    State::Init.refuses(&nsqd, refusals).await;
}

async fn sub_makes_the_topic_and_the_channel<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    assert!(stats::topic(&nsqd, "new").await.is_null());
    let _client = nsqd.subscriber("new", "channel").await;
    let channel = stats::channel(&nsqd, "new", "channel").await;
    assert_eq!((&channel["client_count"], &channel["message_count"]), (&1.into(), &0.into()));
}

async fn sub_is_taken_once<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in [State::Subscribed, State::Closing] {
        let lines = ["SUB t c\n", "SUB t other\n", "SUB bad! c\n", "SUB\n"];
        state.refuses(&nsqd, lines.map(|line| (line, "E_INVALID cannot SUB in current state"))).await;
    }
}

async fn sub_needs_heartbeats<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for line in ["SUB t c\n", "SUB bad! c\n", "SUB\n"] {
        let mut client = nsqd.connect().await;
        client.send(command("IDENTIFY", r#"{"heartbeat_interval":-1}"#)).await;
        client.ok().await;
        client.send(line).await;
        client.refused("E_INVALID cannot SUB with heartbeats disabled").await;
    }
}

async fn a_channel_takes_as_many_consumers_as_it_may<S: Side>() {
    let nsqd = S::nsqd(&["--max-channel-consumers=2"]).await;
    let first = nsqd.subscriber("t", "c").await;
    let _second = nsqd.subscriber("t", "c").await;
    let error = "E_SUB_FAILED SUB failed consumers for t:c exceeds limit of 2";
    State::Init.refuses(&nsqd, [("SUB t c\n", error)]).await;
    State::Init.answers(&nsqd, [("SUB t other\n", "OK")]).await;
    drop(first);
    stats::wait_for_channel(&nsqd, "t", "c", &[("client_count", 1)]).await;
    State::Init.answers(&nsqd, [("SUB t c\n", "OK")]).await;
}

async fn rdy_takes_these_forms_of_a_number<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for (line, ready) in [
        ("RDY 7\n", 7),
        ("RDY\n", 1),
        ("RDY \n", 0),
        ("RDY 0\n", 0),
        ("RDY 2500\n", 2500),
        ("RDY 007\n", 7),
        ("RDY 3 9\n", 3),
        ("RDY  9\n", 0),
        ("RDY 5\r\n", 5),
        // Overflow wraps.
        ("RDY 18446744073709551620\n", 4),
    ] {
        let mut client = nsqd.subscriber("t", "c").await;
        client.send("RDY 9\n").await;
        client.send(line).await;
        client.stays().await;
        let channel = stats::channel(&nsqd, "t", "c").await;
        assert_eq!(channel["clients"][0]["ready_count"], ready, "{line}");
        drop(client);
        stats::wait_for_channel(&nsqd, "t", "c", &[("client_count", 0)]).await;
    }
    let unparsable = ["-1", "+1", "x", "1.5", "0x1", "1e3", "1_0", "٣"];
    let refusals =
        unparsable.map(|count| (format!("RDY {count}\n"), format!("E_INVALID RDY could not parse count {count}")));
    State::Subscribed.refuses(&nsqd, refusals).await;
}

async fn rdy_is_bounded_by_the_servers_maximum<S: Side>() {
    let nsqd = S::nsqd(&["--max-rdy-count=5"]).await;
    State::Subscribed.accepts(&nsqd, ["RDY 5\n"]).await;
    let refusals = [
        ("RDY 6\n", "E_INVALID RDY count 6 out of range 0-5"),
        ("RDY 99999\n", "E_INVALID RDY count 99999 out of range 0-5"),
        ("RDY 9223372036854775808\n", "E_INVALID RDY count -9223372036854775808 out of range 0-5"),
        ("RDY 99999999999999999999999999\n", "E_INVALID RDY count -2537764290115403777 out of range 0-5"),
    ];
    State::Subscribed.refuses(&nsqd, refusals).await;
}

async fn rdy_needs_a_subscription<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let lines = ["RDY 1\n", "RDY\n", "RDY x\n", "RDY 9999\n"];
    State::Init.refuses(&nsqd, lines.map(|line| (line, "E_INVALID cannot RDY in current state"))).await;
}

async fn rdy_is_passed_over_while_closing<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    State::Closing.accepts(&nsqd, ["RDY 1\n", "RDY\n", "RDY x\n", "RDY -1\n", "RDY 9999\n"]).await;
}

async fn cls_is_taken_once_and_of_a_subscriber<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let error = "E_INVALID cannot CLS in current state";
    for state in [State::Init, State::Closing] {
        state.refuses(&nsqd, [("CLS\n", error), ("CLS x\n", error)]).await;
    }
    State::Subscribed.answers(&nsqd, [("CLS\n", "CLOSE_WAIT"), ("CLS x y\n", "CLOSE_WAIT")]).await;
}
