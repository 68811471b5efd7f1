//! nsqlookupd's TCP protocol: who may register what, and what is refused.

use serde_json::{Value, json};

use crate::like::assert_like;
use crate::server::{Nsqlookupd, Side};
use crate::wire::{Client, command, numbers};

conformance! {
    a_hello_of_another_protocol_is_refused,
    an_unknown_command_is_refused_with_its_name,
    identify_needs_all_that_a_client_is_told,
    identify_is_answered_with_who_this_is,
    identify_is_said_once,
    identify_needs_a_body_of_json,
    registering_needs_an_identity,
    names_are_judged,
    ping_needs_no_identity,
    what_was_registered_goes_with_the_connection,
    unregistering_a_topic_takes_its_channels,
    ephemeral_names_go_when_nobody_has_them,
    a_long_line_is_a_line,
    commands_may_come_together,
}

/// What an nsqd says of itself.
pub(crate) fn identify(host: &str) -> Vec<u8> {
    let identity = json!({
        "version": "1.3.0", "tcp_port": 4150, "http_port": 4151, "hostname": "host", "broadcast_address": host,
    });
    command("IDENTIFY", identity.to_string())
}

/// A connection that has said who it is.
pub(crate) async fn peer(lookupd: &impl Nsqlookupd, host: &str) -> Client {
    let mut client = lookupd.connect().await;
    client.send(identify(host)).await;
    client.answer().await;
    client
}

/// Each of these is answered with OK.
pub(crate) async fn say(client: &mut Client, lines: &[&str]) {
    for line in lines {
        client.send(format!("{line}\n")).await;
        client.answers("OK").await;
    }
}

/// Each of these is refused and ends the connection, which has said who it is if `identified`.
async fn refuses<B: AsRef<[u8]>, E: AsRef<[u8]>>(
    lookupd: &impl Nsqlookupd,
    identified: bool,
    refusals: impl IntoIterator<Item = (B, E)>,
) {
    for (sent, error) in refusals {
        let mut client = if identified { peer(lookupd, "host").await } else { lookupd.connect().await };
        client.send(sent).await;
        client.answers(error).await;
        client.end().await;
    }
}

async fn a_hello_of_another_protocol_is_refused<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    for hello in ["  V2", "  v1", "GET ", "    "] {
        let mut client = lookupd.open().await;
        client.send(hello).await;
        // Without a frame's type, as all that nsqlookupd says.
        client.answers("E_BAD_PROTOCOL").await;
        client.end().await;
    }
    let mut half = lookupd.open().await;
    half.send("  V").await;
    half.end_sending().await;
    half.end().await;
}

async fn an_unknown_command_is_refused_with_its_name<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let repeated = [b"E_INVALID invalid command ", S::DIFFERENCES.repeated_by_nsqlookupd].concat();
    let refusals: [(&[u8], &[u8]); 6] = [
        (b"\n", b"E_INVALID invalid command "),
        (b"FOO\n", b"E_INVALID invalid command FOO"),
        (b"foo a b\r\n", b"E_INVALID invalid command foo"),
        (b"ping\n", b"E_INVALID invalid command ping"),
        (b"NOP\n", b"E_INVALID invalid command NOP"),
        (b"F\xff\"O\n", &repeated),
    ];
    for identified in [false, true] {
        refuses(&lookupd, identified, refusals).await;
    }
}

async fn identify_needs_all_that_a_client_is_told<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let good = json!({"version": "1", "tcp_port": 1, "http_port": 2, "hostname": "h", "broadcast_address": "b"});
    for key in ["version", "tcp_port", "http_port", "broadcast_address"] {
        for bad in [None, Some(json!(null)), Some(if key.contains("port") { json!(0) } else { json!("") })] {
            let mut identity = good.as_object().unwrap().clone();
            match bad {
                Some(bad) => identity.insert(key.to_owned(), bad),
                None => identity.remove(key),
            };
            let sent = command("IDENTIFY", json!(identity).to_string());
            refuses(&lookupd, false, [(sent, "E_BAD_BODY IDENTIFY missing fields")]).await;
        }
    }
    for body in ["{}", "null"] {
        refuses(&lookupd, false, [(command("IDENTIFY", body), "E_BAD_BODY IDENTIFY missing fields")]).await;
    }
    // The name of the host may be missing, and what nobody knows is passed over.
    for body in [
        r#"{"version":"1","tcp_port":1,"http_port":2,"broadcast_address":"b"}"#,
        r#"{"version":"1","tcp_port":1,"http_port":2,"broadcast_address":"b","topology_zone":"z","x":[1]}"#,
        r#"{"VERSION":"1","Tcp_Port":1,"http_port":2,"broadcast_address":"b","remote_address":"1.2.3.4:5"}"#,
    ] {
        let mut client = lookupd.connect().await;
        client.send(command("IDENTIFY", body)).await;
        assert!(client.answer().await.starts_with('{'), "{body}");
    }
}

async fn identify_is_answered_with_who_this_is<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let (http_port, tcp_port) = (lookupd.http_address().port(), lookupd.tcp_address().port());
    for line in ["IDENTIFY", "IDENTIFY x", "IDENTIFY\r"] {
        let mut client = lookupd.connect().await;
        let body = r#"{"version":"1","tcp_port":1,"http_port":2,"hostname":"h","broadcast_address":"b"}"#;
        client.send(command(line, body)).await;
        let pattern = format!(
            r#"{{"broadcast_address":"127.0.0.1","hostname":"*","http_port":{http_port},"tcp_port":{tcp_port},"version":"1.3.0"}}"#
        );
        assert_like(&client.answer().await, &pattern);
        say(&mut client, &["PING"]).await;
    }
}

async fn identify_is_said_once<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let again = [identify("host"), b"IDENTIFY\n".to_vec()];
    refuses(&lookupd, true, again.map(|sent| (sent, "E_INVALID cannot IDENTIFY again"))).await;
}

async fn identify_needs_a_body_of_json<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let bad = [
        "[]",
        "x",
        "1",
        "{",
        "{} x",
        r#"{"tcp_port":"1"}"#,
        r#"{"tcp_port":1.5}"#,
        r#"{"http_port":true}"#,
        r#"{"version":1}"#,
        r#"{"broadcast_address":["b"]}"#,
        r#"{"hostname":1}"#,
    ];
    let error = "E_BAD_BODY IDENTIFY failed to decode JSON body";
    refuses(&lookupd, false, bad.map(|body| (command("IDENTIFY", body), error))).await;
    refuses(&lookupd, false, [(numbers("IDENTIFY", &[0]), error)]).await;
    for (sent, error) in [
        (b"IDENTIFY\n\0\0".to_vec(), "E_BAD_BODY IDENTIFY failed to read body size"),
        (numbers("IDENTIFY", &[5, 0]), "E_BAD_BODY IDENTIFY failed to read body"),
    ] {
        let mut client = lookupd.connect().await;
        client.send(sent).await;
        client.end_sending().await;
        client.answers(error).await;
        client.end().await;
    }
}

async fn registering_needs_an_identity<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let lines = ["REGISTER t c\n", "REGISTER t\n", "REGISTER\n", "REGISTER bad!\n", "UNREGISTER t c\n", "UNREGISTER\n"];
    refuses(&lookupd, false, lines.map(|line| (line, "E_INVALID client must IDENTIFY"))).await;
}

async fn names_are_judged<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let too_long = "a".repeat(65);
    for verb in ["REGISTER", "UNREGISTER"] {
        for names in ["", " "] {
            let error = format!("E_INVALID {verb} insufficient number of params");
            refuses(&lookupd, true, [(format!("{verb}{names}\n"), error)]).await;
        }
        for name in ["bad!", "a\"", "#ephemeral", &too_long] {
            let topic = format!("E_BAD_TOPIC {verb} topic name '{name}' is not valid");
            let channel = format!("E_BAD_CHANNEL {verb} channel name '{name}' is not valid");
            let refusals = [
                (format!("{verb} {name}\n"), &topic),
                (format!("{verb} {name} c\n"), &topic),
                (format!("{verb} {name} bad!\n"), &topic),
                (format!("{verb} t {name}\n"), &channel),
            ];
            refuses(&lookupd, true, refusals).await;
        }
        refuses(&lookupd, true, [(format!("{verb}  c\n"), format!("E_BAD_TOPIC {verb} topic name '' is not valid"))])
            .await;
        let mut client = peer(&lookupd, "host").await;
        for names in ["t", "t c", "t c more", "t ", "t#ephemeral c#ephemeral", "never seen"] {
            say(&mut client, &[&format!("{verb} {names}")]).await;
        }
    }
}

async fn ping_needs_no_identity<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = lookupd.connect().await;
    say(&mut client, &["PING", "PING\r", "PING x", " PING", "PING "]).await;
    assert_eq!(lookupd.http().json("/nodes").await, json!({"producers": []}));
}

async fn what_was_registered_goes_with_the_connection<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = peer(&lookupd, "host").await;
    say(&mut client, &["REGISTER t c"]).await;
    let lookup = lookupd.http().json("/lookup?topic=t").await;
    assert_eq!(lookup["producers"].as_array().unwrap().len(), 1);
    client.end_sending().await;
    client.end().await;
    gnsq_testkit::eventually(gnsq_testkit::DEADLINE, "the producer to go", async || {
        let nodes = lookupd.http().json("/nodes").await;
        (nodes == json!({"producers": []})).then_some(())
    })
    .await;
    // The names stay.
    assert_eq!(lookupd.http().json("/lookup?topic=t").await, json!({"channels": ["c"], "producers": []}));
    assert_eq!(lookupd.http().json("/debug").await, json!({}));
}

async fn unregistering_a_topic_takes_its_channels<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = peer(&lookupd, "host").await;
    let mut other = peer(&lookupd, "other").await;
    say(&mut client, &["REGISTER t c", "REGISTER t d", "REGISTER u"]).await;
    say(&mut other, &["REGISTER t c"]).await;
    say(&mut client, &["UNREGISTER t d"]).await;
    let count = async |key: &str| lookupd.http().json("/debug").await[key].as_array().map_or(0, Vec::len);
    assert_eq!([count("topic:t:").await, count("channel:t:c").await, count("channel:t:d").await], [2, 2, 0]);
    say(&mut client, &["UNREGISTER t"]).await;
    assert_eq!([count("topic:t:").await, count("channel:t:c").await, count("topic:u:").await], [1, 1, 1]);
    let mut channels = lookupd.http().json("/channels?topic=t").await["channels"].as_array().unwrap().clone();
    channels.sort_by_key(Value::to_string);
    assert_eq!(channels, ["c", "d"]);
}

async fn ephemeral_names_go_when_nobody_has_them<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = peer(&lookupd, "host").await;
    let mut other = peer(&lookupd, "other").await;
    for client in [&mut client, &mut other] {
        say(client, &["REGISTER t#ephemeral", "REGISTER u c#ephemeral"]).await;
    }
    let channels = async || lookupd.http().json("/channels?topic=u").await["channels"].clone();
    let topics = async || lookupd.http().json("/topics").await["topics"].as_array().unwrap().len();
    say(&mut client, &["UNREGISTER u c#ephemeral", "UNREGISTER t#ephemeral"]).await;
    assert_eq!((channels().await, topics().await), (json!(["c#ephemeral"]), 2));
    say(&mut other, &["UNREGISTER u c#ephemeral", "UNREGISTER t#ephemeral"]).await;
    assert_eq!((channels().await, topics().await), (json!([]), 1));
}

async fn a_long_line_is_a_line<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let name = "A".repeat(5000);
    refuses(&lookupd, false, [(format!("{name} x\n"), format!("E_INVALID invalid command {name}"))]).await;
}

async fn commands_may_come_together<S: Side>() {
    let lookupd = S::nsqlookupd(&[]).await;
    let mut client = lookupd.open().await;
    let commands = [b"  V1", &identify("host")[..], b"REGISTER t c\nPING\nFOO\nREGISTER u\n"].concat();
    client.send(commands).await;
    client.answer().await;
    client.answers("OK").await;
    client.answers("OK").await;
    client.answers("E_INVALID invalid command FOO").await;
    client.end().await;
    assert_eq!(lookupd.http().json("/topics").await, json!({"topics": ["t"]}));
}
