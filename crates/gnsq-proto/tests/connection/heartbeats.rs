//! Heartbeats come at any time, and their absence means that nobody is there.

use std::time::Duration;

use gnsq_proto::connection::{ConnectionError, Event};
use gnsq_proto::{Command, Connection, Frame, IdentifyRequest};

use crate::support::{
    Dialogue, SECOND, answer, error, heartbeat, just_before, message_frame, negotiating, ok, publish, response, wire,
};

fn nops(dialogue: &mut Dialogue) -> usize {
    dialogue.sent().iter().filter(|command| **command == Command::Nop).count()
}

/// A subscriber that waits for two publishes, and what its peer sends next.
fn busy() -> (Dialogue, Vec<Frame>) {
    let mut dialogue = Dialogue::subscribed();
    dialogue.publish(1);
    dialogue.publish(2);
    dialogue.sent();
    (dialogue, vec![message_frame(1), ok(), error("E_FIN_FAILED FIN failed"), message_frame(2), ok()])
}

fn with_interval(millis: i64) -> Dialogue {
    Dialogue::identified(IdentifyRequest { heartbeat_interval: Some(millis), ..negotiating() }, "{}")
}

#[test]
fn a_heartbeat_right_after_the_hello_is_answered() {
    let mut dialogue = Dialogue::new();
    assert_eq!(dialogue.frame(&heartbeat()), []);
    assert_eq!(dialogue.sent(), [Command::Nop]);
}

#[test]
fn a_heartbeat_before_identify_is_answered_before_it() {
    let mut dialogue = Dialogue::new();
    dialogue.frame(&heartbeat());
    dialogue.identify(negotiating());
    assert_eq!(dialogue.sent(), [Command::Nop, Command::Identify(negotiating().to_json())]);
    assert_eq!(dialogue.response("{}"), [answer(0, "{}")]);
    assert_eq!(dialogue.sent(), []);
}

#[test]
fn a_heartbeat_before_the_answer_to_identify_is_answered_behind_it() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(negotiating());
    dialogue.sent();
    assert_eq!(dialogue.frame(&heartbeat()), []);
    assert_eq!(dialogue.sent(), []);
    assert_eq!(dialogue.response("{}"), [answer(0, "{}")]);
    assert_eq!(dialogue.sent(), [Command::Nop]);
}

#[test]
fn a_heartbeat_during_the_upgrades_is_answered_behind_the_last() {
    let reply = r#"{"tls_v1":true,"snappy":true}"#;
    for place in 0..3 {
        let mut dialogue = Dialogue::new();
        dialogue.identify(IdentifyRequest { tls_v1: true, snappy: true, ..negotiating() });
        dialogue.sent();
        for (step, data) in [reply, "OK", "OK"].into_iter().enumerate() {
            if step == place {
                assert_eq!(dialogue.frame(&heartbeat()), []);
            }
            assert_eq!(dialogue.sent(), [], "before the last OK");
            assert_eq!(dialogue.response(data).len(), 1);
            dialogue.connection.upgraded();
        }
        assert_eq!(dialogue.sent(), [Command::Nop]);
        dialogue.subscribe();
    }
}

#[test]
fn a_heartbeat_between_a_publish_and_its_answer_disturbs_neither() {
    let mut dialogue = Dialogue::new();
    dialogue.publish(1);
    dialogue.sent();
    assert_eq!(dialogue.frame(&heartbeat()), []);
    assert_eq!(dialogue.sent(), [Command::Nop]);
    assert_eq!(dialogue.response("OK"), [answer(1, "OK")]);
}

#[test]
fn each_heartbeat_is_answered_once_wherever_it_stands() {
    for place in 0..=5 {
        let (mut undisturbed, mut frames) = busy();
        let (mut dialogue, _) = busy();
        dialogue.now = undisturbed.now;
        let expected = undisturbed.bytes(&wire(&frames));
        frames.insert(place, heartbeat());
        assert_eq!(dialogue.bytes(&wire(&frames)), expected, "at place {place}");
        assert_eq!(dialogue.sent(), [Command::Nop], "at place {place}");
        assert_eq!(dialogue.connection.outstanding(), 0);
    }
}

#[test]
fn heartbeats_everywhere_byte_by_byte_are_each_answered_once() {
    let (mut undisturbed, frames) = busy();
    let (mut dialogue, _) = busy();
    dialogue.now = undisturbed.now;
    let expected = undisturbed.bytes(&wire(&frames));
    let beats = [heartbeat(), heartbeat()];
    let stream = wire(frames.iter().flat_map(|frame| [&beats[0], frame, &beats[1]]));
    let events: Vec<_> = stream.iter().flat_map(|byte| dialogue.bytes(&[*byte])).collect();
    assert_eq!(events, expected);
    assert_eq!(nops(&mut dialogue), 10);
}

#[test]
fn polling_again_does_not_answer_again() {
    let mut dialogue = Dialogue::new();
    dialogue.frame(&heartbeat());
    dialogue.events();
    dialogue.wait(SECOND);
    assert_eq!(dialogue.sent(), [Command::Nop]);
}

#[test]
fn a_heartbeat_to_a_subscriber_that_closes_is_answered() {
    let mut dialogue = Dialogue::subscribed();
    dialogue.connection.start_close(1, None).unwrap();
    assert_eq!(dialogue.bytes(&wire([&heartbeat(), &response("CLOSE_WAIT"), &heartbeat()])), [answer(1, "CLOSE_WAIT")]);
    assert_eq!(dialogue.sent(), [Command::Cls, Command::Nop, Command::Nop]);
}

#[test]
fn a_peer_counts_as_dead_after_two_intervals_of_silence() {
    for (mut dialogue, interval) in [
        (Dialogue::new(), 30 * SECOND),
        (Dialogue::identified(negotiating(), "{}"), 30 * SECOND),
        (with_interval(0), 30 * SECOND),
        (with_interval(1500), Duration::from_millis(1500)),
        (with_interval(60_000), 60 * SECOND),
    ] {
        let dead = dialogue.now + 2 * interval;
        assert_eq!(dialogue.connection.next_timeout(), Some(dead));
        assert_eq!(dialogue.wait(just_before(2 * interval)), []);
        dialogue.now = dead;
        assert_eq!(dialogue.connection.handle_timeout(dead), Err(ConnectionError::Silent(2 * interval)));
        assert_eq!(dialogue.connection.poll_event(dead), Ok(None));
        dialogue.refused(Connection::nop);
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut dialogue = Dialogue::new();
    let (nearly, rest) = (59 * SECOND, 60 * SECOND);
    assert_eq!(dialogue.wait(nearly), []);
    assert_eq!(dialogue.bytes(&[0]), []);
    assert_eq!(dialogue.connection.next_timeout(), Some(dialogue.now + rest));
    assert_eq!(dialogue.wait(nearly), []);
    dialogue.pass(SECOND);
    assert!(dialogue.connection.handle_timeout(dialogue.now).is_err());
}

#[test]
fn without_heartbeats_silence_means_nothing() {
    let mut dialogue = with_interval(-1);
    assert_eq!(dialogue.connection.next_timeout(), None);
    assert_eq!(dialogue.wait(365 * 24 * 3600 * SECOND), []);
    dialogue.publish(1);
    assert_eq!(dialogue.response("OK"), [answer(1, "OK")]);
}

#[test]
fn the_new_interval_counts_from_the_answer() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(IdentifyRequest { heartbeat_interval: Some(1000), ..negotiating() });
    dialogue.sent();
    assert_eq!(dialogue.wait(50 * SECOND), []);
    assert_eq!(dialogue.response("{}"), [answer(0, "{}")]);
    assert_eq!(dialogue.connection.next_timeout(), Some(dialogue.now + 2 * SECOND));
}

#[test]
fn a_silent_peer_loses_nobody_who_waits() {
    let mut dialogue = with_interval(1000);
    let deadline = dialogue.now + 2 * SECOND;
    dialogue.connection.publish(&publish(), 1, Some(deadline)).unwrap();
    dialogue.publish(2);
    dialogue.pass(2 * SECOND);
    dialogue.connection.handle_timeout(dialogue.now).unwrap_err();
    assert_eq!(dialogue.events(), [Event::TimedOut { waiter: 1, sent: false }]);
    assert_eq!(dialogue.fail().len(), 1);
}
