//! Messages in flight: their deadlines, and what a client does with them.

use std::time::{Duration, Instant};

use gnsq_proto::connection::Event;
use gnsq_proto::{Command, ErrorCode, Frame};

use crate::support::{Dialogue, SECOND, answer, id, just_before, message, message_frame, negotiating, ok, wire};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A subscriber whose messages time out after 10 seconds, and after 25 with touches.
fn subscriber() -> Dialogue {
    let mut dialogue = Dialogue::identified(negotiating(), r#"{"msg_timeout":10000,"max_msg_timeout":25000}"#);
    dialogue.subscribe();
    dialogue
}

fn delivery(number: u8, deadline: Instant) -> Event<u32> {
    Event::Message { frame: message(number), deadline }
}

/// Time passes in steps short enough that nsqd's silence doesn't count.
fn wait_alive(dialogue: &mut Dialogue, time: Duration) -> Vec<Event<u32>> {
    dialogue.frame(&Frame::Response("_heartbeat_".into()));
    dialogue.sent();
    dialogue.wait(time)
}

#[test]
fn a_message_is_in_flight_until_it_is_finished() {
    let mut dialogue = subscriber();
    dialogue.connection.ready(2).unwrap();
    let deadline = dialogue.now + TIMEOUT;
    let frames = [message_frame(1), message_frame(2)];
    assert_eq!(dialogue.bytes(&wire(&frames)), [delivery(1, deadline), delivery(2, deadline)]);
    assert_eq!(dialogue.connection.in_flight(), 2);
    assert_eq!(dialogue.connection.finish(id(1)), Ok(true));
    assert_eq!(dialogue.connection.in_flight(), 1);
    assert_eq!(dialogue.connection.requeue(id(2), Duration::from_micros(1500)), Ok(true));
    assert_eq!(dialogue.connection.in_flight(), 0);
    let req = Command::Req { id: id(2), delay_ms: 1 };
    assert_eq!(dialogue.sent(), [Command::Rdy(2), Command::Fin(id(1)), req]);
}

#[test]
fn each_message_has_a_deadline_of_its_own() {
    let mut dialogue = subscriber();
    let start = dialogue.now;
    dialogue.frame(&message_frame(1));
    dialogue.pass(SECOND);
    assert_eq!(dialogue.frame(&message_frame(2)), [delivery(2, start + SECOND + TIMEOUT)]);
    assert_eq!(dialogue.connection.next_timeout(), Some(start + TIMEOUT));
    assert_eq!(dialogue.wait(just_before(9 * SECOND)), []);
    assert_eq!(dialogue.wait(Duration::from_nanos(1)), [Event::Expired(id(1))]);
    assert_eq!(dialogue.connection.in_flight(), 1);
    assert_eq!(dialogue.connection.next_timeout(), Some(start + SECOND + TIMEOUT));
    assert_eq!(dialogue.wait(SECOND), [Event::Expired(id(2))]);
    assert_eq!(dialogue.connection.in_flight(), 0);
    assert_eq!(dialogue.wait(SECOND), []);
}

#[test]
fn a_finished_message_does_not_expire() {
    let mut dialogue = subscriber();
    dialogue.frame(&message_frame(1));
    dialogue.frame(&message_frame(2));
    dialogue.connection.finish(id(1)).unwrap();
    dialogue.connection.requeue(id(2), Duration::ZERO).unwrap();
    assert_eq!(dialogue.wait(TIMEOUT), []);
}

#[test]
fn a_message_that_expired_can_still_be_finished_but_counts_no_more() {
    let mut dialogue = subscriber();
    dialogue.frame(&message_frame(1));
    assert_eq!(dialogue.wait(TIMEOUT), [Event::Expired(id(1))]);
    assert_eq!(dialogue.connection.finish(id(1)), Ok(false));
    assert_eq!(dialogue.connection.touch(id(1), dialogue.now), Ok(None));
    assert_eq!(dialogue.sent(), [Command::Fin(id(1)), Command::Touch(id(1))]);
    assert_eq!(dialogue.connection.in_flight(), 0);
}

#[test]
fn a_message_delivered_again_while_in_flight_counts_once_with_the_new_deadline() {
    let mut dialogue = subscriber();
    dialogue.frame(&message_frame(1));
    dialogue.pass(9 * SECOND);
    let deadline = dialogue.now + TIMEOUT;
    assert_eq!(dialogue.frame(&message_frame(1)), [delivery(1, deadline)]);
    assert_eq!(dialogue.connection.in_flight(), 1);
    assert_eq!(dialogue.wait(9 * SECOND), []);
    assert_eq!(dialogue.wait(SECOND), [Event::Expired(id(1))]);
}

#[test]
fn a_touch_extends_the_deadline_from_now() {
    let mut dialogue = subscriber();
    let start = dialogue.now;
    dialogue.frame(&message_frame(1));
    dialogue.pass(6 * SECOND);
    assert_eq!(dialogue.connection.touch(id(1), dialogue.now), Ok(Some(start + 16 * SECOND)));
    assert_eq!(dialogue.sent(), [Command::Touch(id(1))]);
    assert_eq!(wait_alive(&mut dialogue, 9 * SECOND), []);
    assert_eq!(dialogue.wait(SECOND), [Event::Expired(id(1))]);
}

#[test]
fn touches_reach_no_further_than_the_maximum_from_the_delivery() {
    let mut dialogue = subscriber();
    let start = dialogue.now;
    dialogue.frame(&message_frame(1));
    for (at, deadline) in [(9, 19), (15, 25), (18, 25), (24, 25)] {
        dialogue.now = start + at * SECOND;
        assert_eq!(dialogue.connection.touch(id(1), dialogue.now), Ok(Some(start + deadline * SECOND)), "at {at} s");
    }
    assert_eq!(dialogue.wait(SECOND), [Event::Expired(id(1))]);
}

#[test]
fn a_late_fin_req_or_touch_keeps_the_connection_and_names_the_message() {
    for (word, code) in
        [("FIN", ErrorCode::FinFailed), ("REQ", ErrorCode::ReqFailed), ("TOUCH", ErrorCode::TouchFailed)]
    {
        let mut dialogue = subscriber();
        dialogue.publish(1);
        dialogue.sent();
        let text = format!("E_{word}_FAILED {word} {} failed ID not in flight", id(7));
        let events = dialogue.error(&text);
        let [Event::TooLate(error)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((error.code(), error.message_id()), (&code, Some(id(7))));
        assert_eq!(dialogue.response("OK"), [answer(1, "OK")]);
        dialogue.connection.ready(1).unwrap();
        assert_eq!(dialogue.sent(), [Command::Rdy(1)]);
    }
}

#[test]
fn all_in_flight_are_requeued_at_once() {
    let mut dialogue = subscriber();
    for number in 1..=3 {
        dialogue.frame(&message_frame(number));
    }
    dialogue.connection.finish(id(2)).unwrap();
    dialogue.sent();
    assert_eq!(dialogue.connection.requeue_all(), 2);
    assert_eq!(dialogue.connection.in_flight(), 0);
    let mut sent = dialogue.sent();
    sent.sort_by_key(|command| format!("{command:?}"));
    assert_eq!(sent, [Command::Req { id: id(1), delay_ms: 0 }, Command::Req { id: id(3), delay_ms: 0 }]);
    assert_eq!(dialogue.connection.requeue_all(), 0);
    assert_eq!(dialogue.sent(), []);
    assert_eq!(dialogue.wait(TIMEOUT), []);
}

#[test]
fn what_is_given_back_is_requeued_unless_it_was_answered() {
    let mut dialogue = subscriber();
    for number in 1..=2 {
        dialogue.frame(&message_frame(number));
    }
    dialogue.connection.finish(id(2)).unwrap();
    dialogue.sent();
    assert!(dialogue.connection.give_back(id(1)).unwrap());
    assert!(!dialogue.connection.give_back(id(1)).unwrap());
    assert!(!dialogue.connection.give_back(id(2)).unwrap());
    assert_eq!(dialogue.sent(), [Command::Req { id: id(1), delay_ms: 0 }]);
    assert_eq!(dialogue.connection.in_flight(), 0);
}

#[test]
fn a_publish_and_messages_share_a_connection() {
    let mut dialogue = subscriber();
    dialogue.publish(1);
    dialogue.publish(2);
    let deadline = dialogue.now + TIMEOUT;
    let events = dialogue.bytes(&wire([&message_frame(1), &ok(), &message_frame(2), &ok()]));
    assert_eq!(events, [delivery(1, deadline), answer(1, "OK"), delivery(2, deadline), answer(2, "OK")]);
}

#[test]
fn a_message_that_nsqd_lets_nobody_touch_is_not_in_flight() {
    let mut dialogue = subscriber();
    dialogue.bytes(&wire(&[message_frame(1), message_frame(2)]));
    for (code, left) in [("E_FIN_FAILED FIN", 2), ("E_REQ_FAILED REQ", 2), ("E_TOUCH_FAILED TOUCH", 1)] {
        let error = gnsq_proto::ServerError::parse(format!("{code} {} failed ID not in flight", id(1)).as_bytes());
        assert_eq!(dialogue.frame(&Frame::Error(error.clone())), [Event::TooLate(error)]);
        assert_eq!(dialogue.connection.in_flight(), left);
    }
    assert!(dialogue.connection.is_in_flight(id(2)) && !dialogue.connection.is_in_flight(id(1)));
}
