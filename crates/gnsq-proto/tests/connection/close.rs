//! CLS and what may follow it.

use std::time::Duration;

use gnsq_proto::connection::Event;
use gnsq_proto::{Command, Connection};

use crate::support::{Dialogue, answer, id, message_frame, ok, publish, response, wire};

/// A subscriber with one message in flight that has sent CLS.
fn closing() -> Dialogue {
    let mut dialogue = Dialogue::subscribed();
    dialogue.frame(&message_frame(1));
    dialogue.connection.start_close(1, None).unwrap();
    assert_eq!(dialogue.sent(), [Command::Cls]);
    dialogue
}

#[test]
fn cls_is_answered_with_close_wait() {
    let mut dialogue = closing();
    assert_eq!(dialogue.response("CLOSE_WAIT"), [answer(1, "CLOSE_WAIT")]);
    assert_eq!(dialogue.connection.outstanding(), 0);
}

#[test]
fn messages_before_and_after_close_wait_still_come() {
    let mut dialogue = closing();
    let events = dialogue.bytes(&wire([&message_frame(2), &response("CLOSE_WAIT"), &message_frame(3)]));
    assert!(matches!(events[..], [Event::Message { .. }, Event::Answer(Some(1), _), Event::Message { .. }]));
    assert_eq!(dialogue.connection.in_flight(), 3);
    assert_eq!(dialogue.connection.requeue_all(), 3);
    assert_eq!(dialogue.sent().len(), 3);
}

#[test]
fn messages_can_be_answered_before_and_after_close_wait() {
    let mut dialogue = closing();
    answers_are_allowed(&mut dialogue);
    dialogue.response("CLOSE_WAIT");
    answers_are_allowed(&mut dialogue);
}

fn answers_are_allowed(dialogue: &mut Dialogue) {
    let now = dialogue.now;
    let connection: &mut Connection<u32> = &mut dialogue.connection;
    connection.touch(id(1), now).unwrap();
    connection.requeue(id(1), Duration::ZERO).unwrap();
    connection.finish(id(1)).unwrap();
    connection.nop().unwrap();
    let req = Command::Req { id: id(1), delay_ms: 0 };
    assert_eq!(dialogue.sent(), [Command::Touch(id(1)), req, Command::Fin(id(1)), Command::Nop]);
}

#[test]
fn a_second_cls_is_refused_here() {
    let mut dialogue = closing();
    dialogue.refused(|connection| connection.start_close(2, None));
    dialogue.response("CLOSE_WAIT");
    dialogue.refused(|connection| connection.start_close(2, None));
}

#[test]
fn publishes_go_on_around_cls() {
    let mut dialogue = Dialogue::subscribed();
    dialogue.publish(1);
    dialogue.connection.start_close(2, None).unwrap();
    dialogue.publish(3);
    assert_eq!(dialogue.sent(), [publish(), Command::Cls, publish()]);
    let events = dialogue.bytes(&wire([&ok(), &response("CLOSE_WAIT"), &ok()]));
    assert_eq!(events, [answer(1, "OK"), answer(2, "CLOSE_WAIT"), answer(3, "OK")]);
}
