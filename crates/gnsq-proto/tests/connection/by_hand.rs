//! Connections whose user decides what is sent, and sees every frame.

use bytes::Bytes;
use gnsq_proto::connection::{ConnectionError, Event, Loss};
use gnsq_proto::{Command, Frame};

use crate::support::{Dialogue, answer, error, heartbeat, message_frame, negotiating, ok, response, wire};

fn by_hand() -> Dialogue {
    let mut dialogue = Dialogue::new();
    dialogue.connection.set_by_hand();
    dialogue
}

fn send(dialogue: &mut Dialogue, command: &'static [u8], is_answered: bool) {
    dialogue.connection.send(&Bytes::from_static(command), is_answered).unwrap();
}

fn frames(frames: &[Frame]) -> Vec<Event<u32>> {
    frames.iter().cloned().map(Event::Frame).collect()
}

#[test]
fn commands_are_sent_whatever_was_sent_before() {
    let mut dialogue = by_hand();
    send(&mut dialogue, b"RDY 3\n", false);
    send(&mut dialogue, b"CLS\n", true);
    send(&mut dialogue, b"SUB t c\n", true);
    assert!(matches!(&dialogue.sent()[..], [Command::Rdy(3), Command::Cls, Command::Sub { .. }]));
}

#[test]
fn every_frame_is_given_in_its_order() {
    let mut dialogue = by_hand();
    send(&mut dialogue, b"SUB t c\n", true);
    // Nobody asked for most of these.
    let sent = [message_frame(1), ok(), heartbeat(), response("CLOSE_WAIT"), message_frame(1), response("anything")];
    assert_eq!(dialogue.bytes(&wire(&sent)), frames(&sent));
    assert_eq!(dialogue.connection.in_flight(), 0);
    dialogue.transmit();
}

#[test]
fn heartbeats_are_answered() {
    let mut dialogue = by_hand();
    assert_eq!(dialogue.frame(&heartbeat()), frames(&[heartbeat()]));
    assert_eq!(dialogue.sent(), [Command::Nop]);
}

#[test]
fn identify_and_auth_find_their_answers_among_others() {
    let mut dialogue = by_hand();
    dialogue.identify(negotiating());
    dialogue.sent();
    // nsqd would take a command for the first bytes of what IDENTIFY begins.
    dialogue.connection.send(&Bytes::from_static(b"NOP\n"), false).unwrap_err();
    let mut given = dialogue.frame(&heartbeat());
    given.extend(dialogue.response("{}"));
    assert_eq!(given, [Event::Frame(heartbeat()), answer(0, "{}")]);
    assert_eq!(dialogue.sent(), [Command::Nop]);

    send(&mut dialogue, b"SUB t c\n", true);
    dialogue.connection.auth("secret".into(), 7, None).unwrap();
    send(&mut dialogue, b"PUB t\n\0\0\0\x01x", true);
    assert_eq!(dialogue.response("OK"), frames(&[ok()]));
    assert_eq!(dialogue.response("{}"), [answer(7, "{}")]);
    assert_eq!(dialogue.response("OK"), frames(&[ok()]));
}

#[test]
fn an_error_ends_it_or_not_as_ever() {
    let mut dialogue = by_hand();
    assert!(matches!(&dialogue.error("E_FIN_FAILED why")[..], [Event::TooLate(_)]));
    send(&mut dialogue, b"PUB t\n\0\0\0\x01x", true);
    dialogue.connection.auth("secret".into(), 7, None).unwrap();
    assert!(matches!(dialogue.fatal(&error("E_BAD_MESSAGE why")), ConnectionError::Server(_)));
    assert_eq!(dialogue.fail(), [(7, Loss::NotSent)]);
    dialogue.connection.send(&Bytes::from_static(b"NOP\n"), false).unwrap_err();
}
