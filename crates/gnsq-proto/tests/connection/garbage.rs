//! A peer that doesn't keep to the protocol.

use gnsq_proto::connection::{ConnectionError, Loss};
use gnsq_proto::frame::FrameError;

use crate::support::{Dialogue, answer, channel, ok, response, topic, wire};

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

    let mut dialogue = Dialogue::new();
    dialogue.connection.subscribe(topic(), channel(), 1, None).unwrap();
    assert_eq!(dialogue.fatal(&response("{}")), unexpected("{}", "SUB"));

    let mut dialogue = Dialogue::subscribed();
    dialogue.connection.start_close(1, None).unwrap();
    assert_eq!(dialogue.fatal(&ok()), unexpected("OK", "CLS"));
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
