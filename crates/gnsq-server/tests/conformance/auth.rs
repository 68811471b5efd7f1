//! AUTH, against an auth server that says what a test wants.

use std::time::Duration;

use serde_json::{Value, json};

use crate::auth_server::{AuthServer, all, grant};
use crate::server::{Nsqd, Side};
use crate::state::State;
use crate::stats;
use crate::wire::{Client, command, mpub, numbers};

conformance! {
    without_an_auth_server_it_is_disabled,
    it_is_demanded_before_publishing_and_subscribing,
    the_auth_server_is_asked_who_this_is,
    the_identity_is_answered_and_shown,
    it_is_said_once_and_before_subscribing,
    an_auth_server_that_does_not_grant_fails_it,
    a_grant_of_nothing_is_no_grant,
    what_is_not_granted_is_refused,
    patterns_match_anywhere,
    a_grant_that_has_run_out_is_asked_for_again,
    a_grant_that_is_taken_back_ends_the_connection,
    another_auth_server_is_asked_if_one_is_dead,
}

const GRANTED: &str = r#"{"identity":"me","identity_url":"http://me/","permission_count":1}"#;

/// A connection that has said AUTH and has been granted something.
async fn granted(nsqd: &impl Nsqd) -> Client {
    let mut client = nsqd.connect().await;
    client.send(command("AUTH", "secret")).await;
    client.expect(GRANTED).await;
    client
}

async fn without_an_auth_server_it_is_disabled<S: Side>() {
    let nsqd = S::nsqd(&["--max-body-size=100"]).await;
    let refusals = [
        (command("AUTH", "secret"), "E_AUTH_DISABLED AUTH disabled"),
        (command("AUTH x", "secret"), "E_INVALID AUTH invalid number of parameters"),
        (numbers("AUTH x", &[0]), "E_INVALID AUTH invalid number of parameters"),
        (numbers("AUTH", &[0]), "E_BAD_BODY AUTH invalid body size 0"),
        (numbers("AUTH", &[-1]), "E_BAD_BODY AUTH invalid body size -1"),
        (numbers("AUTH", &[101]), "E_BAD_BODY AUTH body too big 101 > 100"),
    ];
    State::Init.refuses(&nsqd, refusals).await;
    for state in [State::Subscribed, State::Closing] {
        for sent in [command("AUTH", "secret"), command("AUTH x", "secret"), numbers("AUTH", &[0])] {
            state.refuses(&nsqd, [(sent, "E_INVALID cannot AUTH in current state")]).await;
        }
    }
    for (sent, error) in [
        (b"AUTH\n\0".to_vec(), "E_BAD_BODY AUTH failed to read body size"),
        (numbers("AUTH", &[5, 0]), "E_BAD_BODY AUTH failed to read body"),
    ] {
        let mut client = nsqd.connect().await;
        client.send(sent).await;
        client.end_sending().await;
        client.refused(error).await;
    }
}

async fn it_is_demanded_before_publishing_and_subscribing<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    let mut client = nsqd.connect().await;
    client.send(command("IDENTIFY", r#"{"feature_negotiation":true}"#)).await;
    assert!(client.response().await.contains(r#""auth_required":true"#));
    let refusals = [
        (command("PUB t", "x"), "E_AUTH_FIRST AUTH required before PUB"),
        (command("DPUB t 1", "x"), "E_AUTH_FIRST AUTH required before DPUB"),
        (b"MPUB t\n".to_vec(), "E_AUTH_FIRST AUTH required before MPUB"),
        (b"SUB t c\n".to_vec(), "E_AUTH_FIRST AUTH required before SUB"),
        // What is wrong in itself is told first.
        (b"SUB t\n".to_vec(), "E_INVALID SUB insufficient number of parameters"),
        (b"SUB bad! c\n".to_vec(), r#"E_BAD_TOPIC SUB topic name "bad!" is not valid"#),
        (b"SUB t bad!\n".to_vec(), r#"E_BAD_CHANNEL SUB channel name "bad!" is not valid"#),
        (b"PUB bad!\n".to_vec(), r#"E_BAD_TOPIC PUB topic name "bad!" is not valid"#),
        (numbers("PUB t", &[0]), "E_BAD_MESSAGE PUB invalid message body size 0"),
        (b"DPUB t x\n".to_vec(), "E_INVALID DPUB could not parse timeout x"),
        (numbers("DPUB t 1", &[0]), "E_BAD_MESSAGE DPUB invalid message body size 0"),
        (b"MPUB\n".to_vec(), "E_INVALID MPUB insufficient number of parameters"),
        (b"MPUB bad!\n".to_vec(), r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "bad!" is not valid"#),
        (b"CLS\n".to_vec(), "E_INVALID cannot CLS in current state"),
        (b"NOP\nRDY 1\n".to_vec(), "E_INVALID cannot RDY in current state"),
    ];
    State::Init.refuses(&nsqd, refusals).await;
    // HTTP asks for nothing.
    nsqd.publish("t", "x").await;
    assert_eq!(auth.requests().len(), 0);
}

async fn the_auth_server_is_asked_who_this_is<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    let mut client = nsqd.connect().await;
    client.send(command("AUTH", b"se cret&=\xff\0+")).await;
    client.expect(GRANTED).await;
    let requests = auth.requests();
    assert_eq!(requests.len(), 1);
    let query = "common_name=&remote_ip=127.0.0.1&secret=se+cret%26%3D%FF%00%2B&tls=false";
    let line = requests[0].lines().next().unwrap();
    assert_eq!(sorted_query(line), format!("GET /auth?{query} HTTP/1.1"));
    assert!(requests[0].to_ascii_lowercase().contains("\r\naccept: application/vnd.nsq; version=1.0\r\n"));

    let url = format!("--auth-http-address=http://{}/custom/path", auth.address);
    let nsqd = S::nsqd(&[&url]).await;
    granted(&nsqd).await;
    let line = auth.requests()[0].lines().next().unwrap().to_owned();
    let query = "common_name=&remote_ip=127.0.0.1&secret=secret&tls=false";
    assert_eq!(sorted_query(&line), format!("GET /custom/path?{query} HTTP/1.1"));
}

/// A request's line with its parameters in order, and with `+` for a space.
fn sorted_query(line: &str) -> String {
    let (method, rest) = line.split_once('?').unwrap();
    let (query, version) = rest.split_once(' ').unwrap();
    let mut parameters: Vec<_> = query.split('&').map(|parameter| parameter.replace("%20", "+")).collect();
    parameters.sort();
    format!("{method}?{} {version}", parameters.join("&"))
}

async fn the_identity_is_answered_and_shown<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    let mut client = granted(&nsqd).await;
    client.send("SUB t c\n").await;
    client.ok().await;
    let seen = &stats::channel(&nsqd, "t", "c").await["clients"][0];
    assert_eq!(
        [&seen["authed"], &seen["auth_identity"], &seen["auth_identity_url"]],
        [&json!(true), &json!("me"), &json!("http://me/")]
    );

    auth.answer(200, json!({"ttl": 5, "authorizations": [all(), all()]}).to_string());
    let mut client = nsqd.connect().await;
    client.send(command("AUTH", "secret")).await;
    client.expect(r#"{"identity":"","identity_url":"","permission_count":2}"#).await;
    client.send("SUB t d\n").await;
    client.ok().await;
    let seen = &stats::channel(&nsqd, "t", "d").await["clients"][0];
    assert_eq!(
        [&seen["authed"], &seen["auth_identity"], &seen["auth_identity_url"]],
        [&json!(true), &Value::Null, &Value::Null]
    );
}

async fn it_is_said_once_and_before_subscribing<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    for (sent, error) in [
        (command("AUTH", "secret"), "E_INVALID AUTH already set"),
        (command("AUTH x", "secret"), "E_INVALID AUTH invalid number of parameters"),
        (numbers("AUTH", &[0]), "E_BAD_BODY AUTH invalid body size 0"),
    ] {
        let mut client = granted(&nsqd).await;
        client.send(sent).await;
        client.refused(error).await;
    }
    let mut client = granted(&nsqd).await;
    client.send("SUB t c\n").await;
    client.ok().await;
    client.send(command("AUTH", "secret")).await;
    client.refused("E_INVALID cannot AUTH in current state").await;
}

async fn an_auth_server_that_does_not_grant_fails_it<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    let good = json!({"ttl": 60, "identity": "me", "identity_url": "", "authorizations": [all()]});
    let with = |key: &str, value: Value| {
        let mut answer = good.clone();
        answer[key] = value;
        answer.to_string()
    };
    let answers = [
        (500, good.to_string()),
        (404, good.to_string()),
        (201, good.to_string()),
        (200, String::new()),
        (200, "x".to_owned()),
        (200, "[]".to_owned()),
        (200, "{}".to_owned()),
        (200, with("ttl", json!(0))),
        (200, with("ttl", json!(-1))),
        (200, with("ttl", json!(1.5))),
        (200, with("ttl", json!("60"))),
        (200, with("ttl", Value::Null)),
        (200, with("identity", json!(1))),
        (200, with("authorizations", json!({}))),
        (200, with("authorizations", json!([grant(".*", &[".*"], &["publish", "administer"])]))),
        (200, with("authorizations", json!([grant("(", &[".*"], &["publish"])]))),
        (200, with("authorizations", json!([grant(".*", &["("], &["publish"])]))),
        (200, json!({"status_code": 200, "status_txt": "OK", "data": good}).to_string()),
    ];
    for (status, body) in answers {
        auth.answer(status, body);
        State::Init.refuses(&nsqd, [(command("AUTH", "secret"), "E_AUTH_FAILED AUTH failed")]).await;
    }
    let dead = S::nsqd(&["--auth-http-address=127.0.0.1:1"]).await;
    State::Init.refuses(&dead, [(command("AUTH", "secret"), "E_AUTH_FAILED AUTH failed")]).await;
}

async fn a_grant_of_nothing_is_no_grant<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    for nothing in [json!([]), Value::Null] {
        auth.grant(60, &nothing);
        let error = "E_UNAUTHORIZED AUTH no authorizations found";
        State::Init.refuses(&nsqd, [(command("AUTH", "secret"), error)]).await;
    }
    auth.answer(200, r#"{"ttl":1}"#);
    let error = "E_UNAUTHORIZED AUTH no authorizations found";
    State::Init.refuses(&nsqd, [(command("AUTH", "secret"), error)]).await;
    // Whatever can't be used is counted all the same.
    for empty in [grant(".*", &[".*"], &[]), grant(".*", &[], &["publish"])] {
        auth.grant(60, &json!([empty]));
        let mut client = granted(&nsqd).await;
        client.send(command("PUB t", "x")).await;
        client.refused(r#"E_UNAUTHORIZED AUTH failed for PUB on "t" """#).await;
    }
}

async fn what_is_not_granted_is_refused<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    for (permission, allowed, refused) in [
        (
            "publish",
            &[command("PUB t", "x"), command("DPUB t 1", "x"), mpub("t", &["x"])][..],
            &[(b"SUB t c\n".to_vec(), r#"SUB on "t" "c""#)][..],
        ),
        (
            "subscribe",
            &[b"SUB t c\n".to_vec()],
            &[
                (command("PUB t", "x"), r#"PUB on "t" """#),
                (command("DPUB t 1", "x"), r#"DPUB on "t" """#),
                (b"MPUB t\n".to_vec(), r#"MPUB on "t" """#),
            ],
        ),
    ] {
        auth.grant(60, &json!([grant("^t$", &[".*"], &[permission])]));
        for allowed in allowed {
            let mut client = granted(&nsqd).await;
            client.send(allowed).await;
            client.ok().await;
        }
        for (refused, what) in refused {
            let mut client = granted(&nsqd).await;
            client.send(refused).await;
            client.refused(format!("E_UNAUTHORIZED AUTH failed for {what}")).await;
        }
    }
}

async fn patterns_match_anywhere<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    let both = ["publish", "subscribe"];
    for (grant, topic, channel, publishes, subscribes) in [
        (grant("t", &[".*"], &both), "atb", "c", true, true),
        (grant("^t$", &[".*"], &both), "atb", "c", false, false),
        // A publisher has no channel: the pattern must match none.
        (grant("t", &["^c$"], &both), "t", "c", false, true),
        (grant("t", &["^c$"], &both), "t", "d", false, false),
        (grant("t", &["c"], &both), "t", "acb", false, true),
        (grant("t", &["c", ""], &both), "t", "d", true, true),
        (grant("t", &["x", "^c$"], &both), "t", "c", false, true),
        (grant("^(a|b)\\.\\d+$", &[".*"], &both), "b.12", "c", true, true),
    ] {
        auth.grant(60, &json!([grant]));
        for (sent, verb, on, allowed) in [
            (command(&format!("PUB {topic}"), "x"), "PUB", "", publishes),
            (format!("SUB {topic} {channel}\n").into_bytes(), "SUB", channel, subscribes),
        ] {
            let mut client = granted(&nsqd).await;
            client.send(sent).await;
            if allowed {
                client.ok().await;
            } else {
                client.refused(format!("E_UNAUTHORIZED AUTH failed for {verb} on \"{topic}\" \"{on}\"")).await;
            }
        }
    }
}

async fn a_grant_that_has_run_out_is_asked_for_again<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    auth.grant(1, &json!([all()]));
    let mut client = granted(&nsqd).await;
    assert_eq!(auth.requests().len(), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(auth.requests().len(), 0);
    client.send(command("PUB t", "x")).await;
    client.ok().await;
    let again = auth.requests();
    assert_eq!(again.len(), 1);
    assert!(again[0].contains("secret=secret"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.send("SUB t c\n").await;
    client.ok().await;
    assert_eq!(auth.requests().len(), 1);
    // What needs no grant asks for none.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    auth.answer(500, "");
    client.send("RDY 1\n").await;
    let id = client.message().await.id;
    client.send(format!("FIN {id}\nFIN {id}\n")).await;
    client.error(format!("E_FIN_FAILED FIN {id} failed ID not in flight")).await;
    assert_eq!(auth.requests().len(), 0);
}

async fn a_grant_that_is_taken_back_ends_the_connection<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&[&auth.flag()]).await;
    for (status, authorizations, sent, error) in [
        (500, json!([all()]), command("PUB t", "x"), "E_AUTH_FAILED AUTH failed"),
        (500, json!([all()]), b"SUB t c\n".to_vec(), "E_AUTH_FAILED AUTH failed"),
        (
            200,
            json!([grant("^z$", &[".*"], &["publish"])]),
            command("PUB t", "x"),
            r#"E_UNAUTHORIZED AUTH failed for PUB on "t" """#,
        ),
        (200, json!([]), command("PUB t", "x"), r#"E_UNAUTHORIZED AUTH failed for PUB on "t" """#),
    ] {
        auth.grant(1, &json!([all()]));
        let mut client = granted(&nsqd).await;
        auth.grant(1, &authorizations);
        if status != 200 {
            auth.answer(status, "");
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        client.send(sent).await;
        client.refused(error).await;
    }
}

async fn another_auth_server_is_asked_if_one_is_dead<S: Side>() {
    let auth = AuthServer::start().await;
    let nsqd = S::nsqd(&["--auth-http-address=127.0.0.1:1", &auth.flag()]).await;
    for _ in 0..10 {
        granted(&nsqd).await;
    }
    let addresses = nsqd.http().json("/config/auth_http_addresses").await;
    assert_eq!(addresses, json!(["127.0.0.1:1", auth.address]));
}
