//! A peer that doesn't keep to the protocol.

use gnsq_proto::IdentifyRequest;
use gnsq_proto::connection::{ConnectionError, Event, Loss};
use gnsq_proto::frame::FrameError;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Dialogue, answer, channel, error, message_frame, negotiating, ok, response, topic, wire};

fn unexpected(answer: &str, asked: &'static str) -> ConnectionError {
    ConnectionError::UnexpectedResponse { answer: answer.into(), asked }
}

#[test]
fn an_answer_to_nothing_ends_the_connection() {
    assert_eq!(Dialogue::new().fatal(&ok()), unexpected("OK", "nothing"));
    assert_eq!(Dialogue::subscribed().fatal(&response("CLOSE_WAIT")), unexpected("CLOSE_WAIT", "nothing"));
}

#[test]
fn an_answer_that_does_not_fit_ends_the_connection() {
    let mut dialogue = Dialogue::new();
    dialogue.publish(1);
    assert_eq!(dialogue.fatal(&response("CLOSE_WAIT")), unexpected("CLOSE_WAIT", "a publish"));
    assert_eq!(dialogue.fail(), [(1, Loss::NotSent)]);

    let mut dialogue = Dialogue::new();
    dialogue.connection.subscribe(topic(), channel(), 1, None).unwrap();
    assert_eq!(dialogue.fatal(&response("{}")), unexpected("{}", "SUB"));
    assert_eq!(dialogue.fail(), [(1, Loss::NotSent)]);

    let mut dialogue = Dialogue::subscribed();
    dialogue.connection.start_close(1, None).unwrap();
    assert_eq!(dialogue.fatal(&ok()), unexpected("OK", "CLS"));
    assert_eq!(dialogue.fail(), [(1, Loss::NotSent)]);
}

#[test]
fn an_unexpected_answer_is_shown_by_its_beginning() {
    let long = "x".repeat(5000);
    assert_eq!(Dialogue::new().fatal(&response(&long)), unexpected(&long[..100], "nothing"));
}

#[test]
fn an_unknown_frame_type_ends_the_connection() {
    let mut dialogue = Dialogue::new();
    dialogue.publish(1);
    dialogue.sent();
    let error = dialogue.fatal_bytes(&[0, 0, 0, 6, 0, 0, 0, 3, b'O', b'K']);
    assert_eq!(error, FrameError::UnknownType(3).into());
    assert_eq!(dialogue.fail(), [(1, Loss::Unknown)]);
}

#[test]
fn a_frame_over_the_limit_ends_the_connection_before_it_arrives() {
    let mut dialogue = Dialogue::new();
    dialogue.connection.set_max_frame_size(100);
    assert_eq!(dialogue.bytes(&100_u32.to_be_bytes()), []);
    assert_eq!(dialogue.connection.missing(), 100);

    let mut dialogue = Dialogue::new();
    dialogue.connection.set_max_frame_size(100);
    let error = FrameError::TooLarge { size: 101, limit: 100 };
    assert_eq!(dialogue.fatal_bytes(&101_u32.to_be_bytes()), error.into());

    let sixteen_mib = 16 * 1024 * 1024;
    let mut dialogue = Dialogue::new();
    let error = FrameError::TooLarge { size: sixteen_mib + 1, limit: sixteen_mib };
    assert_eq!(dialogue.fatal_bytes(&0x0100_0001_u32.to_be_bytes()), error.into());
}

#[test]
fn what_came_before_the_garbage_is_delivered() {
    let mut dialogue = Dialogue::new();
    dialogue.publish(1);
    dialogue.publish(2);
    dialogue.sent();
    let mut bytes = wire([&ok()]);
    bytes.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n");
    dialogue.connection.input().extend_from_slice(&bytes);
    assert_eq!(dialogue.connection.poll_event(dialogue.now), Ok(Some(answer(1, "OK"))));
    let http = usize::try_from(u32::from_be_bytes(*b"HTTP")).unwrap();
    let error = FrameError::TooLarge { size: http, limit: 16 * 1024 * 1024 };
    assert_eq!(dialogue.connection.poll_event(dialogue.now), Err(error.into()));
    assert_eq!(dialogue.fail(), [(2, Loss::Unknown)]);
}

/// Frames that make sense here and there, and bytes that don't.
fn peer_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(wire([&ok()]).to_vec()),
        2 => Just(wire([&message_frame(1)]).to_vec()),
        1 => Just(wire([&response("_heartbeat_")]).to_vec()),
        1 => Just(wire([&response(r#"{"tls_v1":true,"snappy":true}"#)]).to_vec()),
        1 => Just(wire([&error("E_FIN_FAILED x")]).to_vec()),
        1 => Just(wire([&error("E_INVALID x")]).to_vec()),
        1 => vec(any::<u8>(), 0..20),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_a_peer_sends_every_waiter_ends_once(stream in peer_bytes(), identify: bool, switches: bool) {
        let mut dialogue = Dialogue::new();
        if identify {
            let all = IdentifyRequest { tls_v1: switches, snappy: true, ..negotiating() };
            dialogue.identify(all);
        } else {
            dialogue.connection.auth("secret".into(), 0, None).unwrap();
            dialogue.connection.subscribe(topic(), channel(), 1, None).unwrap();
            dialogue.publish(2);
        }
        let asked = u32::try_from(dialogue.connection.outstanding()).unwrap();
        let mut ended = Vec::new();
        for byte in stream {
            dialogue.connection.input().extend_from_slice(&[byte]);
            dialogue.connection.received(dialogue.now);
            loop {
                match dialogue.connection.poll_event(dialogue.now) {
                    Ok(Some(Event::Answer(waiter, _))) => ended.extend(waiter),
                    Ok(Some(Event::Upgrade(_))) => dialogue.connection.upgraded(),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
        ended.extend(dialogue.fail().into_iter().map(|(waiter, _)| waiter));
        prop_assert_eq!(ended, (0..asked).collect::<Vec<_>>());
    }
}
