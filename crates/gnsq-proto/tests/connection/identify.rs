//! IDENTIFY, the upgrades it brings, and AUTH.

use std::time::Duration;

use gnsq_proto::connection::{ConnectionError, Event, Loss, Upgrade};
use gnsq_proto::{Command, Connection, ErrorCode, IdentifyRequest};

use crate::support::{
    Dialogue, SECOND, answer, channel, error, heartbeat, id, late, message_frame, negotiating, ok, publish, response,
    topic, wire,
};

const PLAIN: &str = r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000}"#;
const TLS: &str = r#"{"tls_v1":true}"#;
const SNAPPY: &str = r#"{"snappy":true}"#;
const TLS_SNAPPY: &str = r#"{"tls_v1":true,"snappy":true}"#;
const TLS_DEFLATE: &str = r#"{"tls_v1":true,"deflate":true,"deflate_level":3}"#;

fn asking_for_tls() -> IdentifyRequest {
    IdentifyRequest { tls_v1: true, ..negotiating() }
}

fn asking_for_snappy() -> IdentifyRequest {
    IdentifyRequest { snappy: true, ..negotiating() }
}

fn asking_for_everything() -> IdentifyRequest {
    IdentifyRequest { tls_v1: true, snappy: true, deflate: true, deflate_level: Some(6), ..negotiating() }
}

/// Behind IDENTIFY, at the first upgrade that `reply` grants.
fn at_upgrade(request: IdentifyRequest, reply: &str, first: Upgrade) -> Dialogue {
    let mut dialogue = Dialogue::new();
    dialogue.identify(request);
    dialogue.sent();
    assert_eq!(dialogue.response(reply), [Event::Upgrade(first)]);
    dialogue
}

#[test]
fn identify_is_answered_with_the_reply_and_its_limits_are_known() {
    let mut dialogue = Dialogue::new();
    dialogue.connection.identify(negotiating(), 7, None).unwrap();
    assert_eq!(dialogue.sent(), [Command::Identify(negotiating().to_json())]);
    assert_eq!(dialogue.connection.outstanding(), 1);
    assert_eq!(dialogue.connection.identified(), None);
    assert_eq!(dialogue.response(PLAIN), [answer(7, PLAIN)]);
    assert_eq!(dialogue.connection.outstanding(), 0);
    assert_eq!(dialogue.connection.identified().map(|reply| reply.max_rdy_count), Some(2500));
    dialogue.subscribe();
}

#[test]
fn a_plain_ok_grants_nothing_and_the_connection_goes_on() {
    let mut dialogue = Dialogue::new();
    dialogue.connection.identify(IdentifyRequest { snappy: true, ..Default::default() }, 7, None).unwrap();
    dialogue.sent();
    assert_eq!(dialogue.response("OK"), [answer(7, "OK")]);
    assert_eq!(dialogue.connection.identified(), None);
    dialogue.subscribe();
}

#[test]
fn a_plain_ok_to_a_request_for_tls_is_no_consent() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(IdentifyRequest { tls_v1: true, ..Default::default() });
    dialogue.sent();
    assert_eq!(dialogue.fatal(&ok()), ConnectionError::Declined("tls_v1"));
    assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
}

#[test]
fn tls_comes_before_snappy_and_the_waiter_is_answered_behind_both() {
    let mut dialogue = at_upgrade(asking_for_everything(), TLS_SNAPPY, Upgrade::Tls);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [Event::Upgrade(Upgrade::Snappy)]);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [answer(0, TLS_SNAPPY)]);
    assert_eq!(dialogue.sent(), []);
    dialogue.subscribe();
}

#[test]
fn tls_comes_before_deflate_at_the_level_that_nsqd_names() {
    let mut dialogue = at_upgrade(asking_for_everything(), TLS_DEFLATE, Upgrade::Tls);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [Event::Upgrade(Upgrade::Deflate { level: 3 })]);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [answer(0, TLS_DEFLATE)]);
    dialogue.subscribe();
}

#[test]
fn what_was_granted_without_being_asked_for_is_not_done() {
    Dialogue::identified(negotiating(), TLS_SNAPPY).subscribe();
}

#[test]
fn nothing_may_be_sent_until_the_last_upgrade_is_confirmed() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(asking_for_tls());
    dialogue.sent();
    nothing_may_be_sent(&mut dialogue);
    assert_eq!(dialogue.response(TLS), [Event::Upgrade(Upgrade::Tls)]);
    nothing_may_be_sent(&mut dialogue);
    dialogue.connection.upgraded();
    nothing_may_be_sent(&mut dialogue);
    assert_eq!(dialogue.response("OK"), [answer(0, TLS)]);
    dialogue.subscribe();
}

fn nothing_may_be_sent(dialogue: &mut Dialogue) {
    dialogue.refused(|connection| connection.identify(negotiating(), 1, None));
    dialogue.refused(|connection| connection.auth("secret".into(), 1, None));
    dialogue.refused(|connection| connection.subscribe(topic(), channel(), 1, None));
    dialogue.refused(|connection| connection.publish(&publish(), 1, None));
    dialogue.refused(|connection| connection.ready(1));
    dialogue.refused(|connection| connection.finish(id(1)));
    dialogue.refused(|connection| connection.start_close(1, None));
    dialogue.refused(Connection::nop);
}

#[test]
fn nothing_is_decoded_while_the_caller_switches() {
    let mut dialogue = at_upgrade(asking_for_snappy(), SNAPPY, Upgrade::Snappy);
    assert_eq!(dialogue.response("OK"), []);
    assert!(!dialogue.connection.input().is_empty());
    dialogue.connection.upgraded();
    assert_eq!(dialogue.events(), [answer(0, SNAPPY)]);
}

#[test]
fn upgraded_means_nothing_when_no_upgrade_was_asked_for() {
    let mut dialogue = Dialogue::new();
    dialogue.connection.upgraded();
    dialogue.identify(asking_for_snappy());
    dialogue.connection.upgraded();
    dialogue.sent();
    assert_eq!(dialogue.response(SNAPPY), [Event::Upgrade(Upgrade::Snappy)]);
    dialogue.connection.upgraded();
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [answer(0, SNAPPY)]);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.connection.outstanding(), 0);
}

#[test]
fn input_behind_the_switch_to_compression_is_left_for_the_new_layer() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(asking_for_snappy());
    let mut bytes = wire([&response(SNAPPY)]);
    bytes.extend_from_slice(b"compressed");
    assert_eq!(dialogue.bytes(&bytes), [Event::Upgrade(Upgrade::Snappy)]);
    assert_eq!(dialogue.connection.input().split().as_ref(), b"compressed");
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [answer(0, SNAPPY)]);
}

#[test]
fn clear_text_behind_the_switch_to_tls_is_an_attack_or_a_defect() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(asking_for_tls());
    dialogue.sent();
    assert_eq!(dialogue.fatal_bytes(&wire([&response(TLS), &ok()])), ConnectionError::ClearText);
    assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
}

#[test]
fn tls_declined_ends_the_connection() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(asking_for_everything());
    dialogue.sent();
    assert_eq!(dialogue.fatal(&response(SNAPPY)), ConnectionError::Declined("tls_v1"));
    assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
}

#[test]
fn compression_declined_is_done_without() {
    let request = IdentifyRequest { snappy: true, deflate: true, ..negotiating() };
    Dialogue::identified(request, PLAIN).subscribe();
    let mut dialogue = at_upgrade(asking_for_everything(), TLS, Upgrade::Tls);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.response("OK"), [answer(0, TLS)]);
}

#[test]
fn an_upgrade_that_is_not_confirmed_with_ok_ends_the_connection() {
    let mut dialogue = at_upgrade(asking_for_tls(), TLS, Upgrade::Tls);
    dialogue.connection.upgraded();
    let error = ConnectionError::UnexpectedResponse { answer: "KO".into(), asked: "the upgrade to TLS" };
    assert_eq!(dialogue.fatal(&response("KO")), error);
    assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
}

#[test]
fn an_upgrade_that_fails_at_nsqd_refuses_identify() {
    let mut dialogue = at_upgrade(asking_for_tls(), TLS, Upgrade::Tls);
    dialogue.connection.upgraded();
    let failure = error("E_IDENTIFY_FAILED upgrade failed");
    assert!(matches!(dialogue.fatal(&failure), ConnectionError::Server(_)));
    let losses = dialogue.fail();
    assert!(matches!(&losses[..], [(0, Loss::Refused(error))] if error.code() == &ErrorCode::IdentifyFailed));
}

#[test]
fn a_connection_lost_during_an_upgrade_tells_the_waiter() {
    let mut dialogue = at_upgrade(asking_for_tls(), TLS, Upgrade::Tls);
    assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
    let mut dialogue = at_upgrade(asking_for_tls(), TLS, Upgrade::Tls);
    dialogue.connection.upgraded();
    assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
}

#[test]
fn a_reply_that_is_no_json_ends_the_connection() {
    for reply in ["KO", "{", r#"{"msg_timeout":-1}"#, r#"{"tls_v1":"yes"}"#, ""] {
        let mut dialogue = Dialogue::new();
        dialogue.identify(negotiating());
        dialogue.sent();
        assert!(matches!(dialogue.fatal(&response(reply)), ConnectionError::IdentifyResponse(_)), "{reply:?}");
        assert_eq!(dialogue.fail(), [(0, Loss::Unknown)]);
    }
}

#[test]
fn auth_is_answered_with_the_identity() {
    let mut dialogue = Dialogue::identified(negotiating(), r#"{"auth_required":true}"#);
    dialogue.connection.auth("secret".into(), 3, None).unwrap();
    assert_eq!(dialogue.sent(), [Command::Auth("secret".into())]);
    let identity = r#"{"identity":"me","identity_url":"","permission_count":1}"#;
    assert_eq!(dialogue.response(identity), [answer(3, identity)]);
    dialogue.subscribe();
}

#[test]
fn auth_refused_ends_the_connection() {
    let mut dialogue = Dialogue::identified(negotiating(), PLAIN);
    dialogue.connection.auth("secret".into(), 3, None).unwrap();
    dialogue.sent();
    dialogue.fatal(&error("E_AUTH_DISABLED AUTH disabled"));
    assert!(matches!(&dialogue.fail()[..], [(3, Loss::Refused(_))]));
}

#[test]
fn a_whole_session_can_be_asked_for_before_the_first_answer() {
    let mut dialogue = Dialogue::identified(negotiating(), PLAIN);
    dialogue.connection.auth("secret".into(), 1, None).unwrap();
    dialogue.connection.subscribe(topic(), channel(), 2, None).unwrap();
    dialogue.connection.ready(5).unwrap();
    dialogue.publish(3);
    assert_eq!(dialogue.sent().len(), 4);
    let frames = [response("{}"), heartbeat(), ok(), message_frame(1), ok()];
    let events = dialogue.bytes(&wire(&frames));
    assert_eq!(events[0], answer(1, "{}"));
    assert_eq!(events[1], answer(2, "OK"));
    assert!(matches!(events[2], Event::Message { .. }));
    assert_eq!(events[3..], [answer(3, "OK")]);
}

#[test]
fn identify_given_up_goes_on_when_its_answer_comes() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + SECOND;
    dialogue.connection.identify(negotiating(), 7, Some(deadline)).unwrap();
    dialogue.sent();
    assert_eq!(dialogue.wait(SECOND), [Event::TimedOut { waiter: 7, sent: true }]);
    assert_eq!(dialogue.response(PLAIN), [late(PLAIN)]);
    assert!(dialogue.connection.identified().is_some());
    dialogue.subscribe();
}

#[test]
fn the_deadline_of_identify_holds_during_its_upgrades() {
    let until = |switched: bool| {
        let mut dialogue = Dialogue::new();
        let deadline = dialogue.now + SECOND;
        dialogue.connection.identify(asking_for_tls(), 7, Some(deadline)).unwrap();
        dialogue.sent();
        dialogue.response(TLS);
        if switched {
            dialogue.connection.upgraded();
        }
        assert_eq!(dialogue.connection.next_timeout(), Some(deadline));
        assert_eq!(dialogue.wait(SECOND), [Event::TimedOut { waiter: 7, sent: true }]);
        dialogue
    };
    assert_eq!(until(false).fail(), []);
    let mut dialogue = until(true);
    assert_eq!(dialogue.response("OK"), [late(TLS)]);
    assert_eq!(dialogue.fail(), []);
}

#[test]
fn the_message_timeout_of_the_reply_counts_and_else_the_one_asked_for() {
    let millis = Duration::from_millis;
    let asking = |feature_negotiation| IdentifyRequest {
        feature_negotiation,
        msg_timeout: Some(5000),
        ..IdentifyRequest::default()
    };
    for (request, reply, timeout) in [
        (asking(true), r#"{"msg_timeout":4000,"max_msg_timeout":900000}"#, millis(4000)),
        (asking(true), r"{}", millis(60_000)),
        (asking(false), "OK", millis(5000)),
        (IdentifyRequest::default(), "OK", millis(60_000)),
        (IdentifyRequest { msg_timeout: Some(0), ..Default::default() }, "OK", millis(60_000)),
        (IdentifyRequest { msg_timeout: Some(-1), ..Default::default() }, "OK", millis(60_000)),
    ] {
        let mut dialogue = Dialogue::identified(request, reply);
        dialogue.subscribe();
        let events = dialogue.frame(&message_frame(1));
        assert!(
            matches!(events[..], [Event::Message { deadline, .. }] if deadline == dialogue.now + timeout),
            "{reply}"
        );
    }
}
