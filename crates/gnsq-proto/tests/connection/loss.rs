//! What becomes of those who wait when a connection ends.

use bytes::{Buf, Bytes};
use gnsq_proto::connection::{ConnectionError, Event, Loss};
use gnsq_proto::{Command, ErrorCode, Frame};

use crate::support::{Dialogue, SECOND, answer, channel, message_frame, negotiating, publish, server_error, topic};

const FATAL: &[ErrorCode] = &[
    ErrorCode::BadProtocol,
    ErrorCode::Invalid,
    ErrorCode::BadBody,
    ErrorCode::BadTopic,
    ErrorCode::BadChannel,
    ErrorCode::BadMessage,
    ErrorCode::IdentifyFailed,
    ErrorCode::AuthDisabled,
    ErrorCode::AuthFirst,
    ErrorCode::AuthFailed,
    ErrorCode::Unauthorized,
    ErrorCode::AuthError,
    ErrorCode::SubFailed,
    ErrorCode::PubFailed,
    ErrorCode::MpubFailed,
    ErrorCode::DpubFailed,
    ErrorCode::PutFailed,
];

/// Three publishes are out.
fn publishing() -> Dialogue {
    let mut dialogue = Dialogue::new();
    for waiter in 1..=3 {
        dialogue.publish(waiter);
    }
    assert_eq!(dialogue.sent().len(), 3);
    dialogue
}

fn refuse(dialogue: &mut Dialogue, code: ErrorCode) {
    let error = server_error(code);
    assert_eq!(dialogue.fatal(&Frame::Error(error.clone())), ConnectionError::Server(error));
}

#[test]
fn a_fatal_error_refuses_the_oldest_and_nsqd_never_read_those_behind() {
    for code in FATAL {
        let mut dialogue = publishing();
        refuse(&mut dialogue, code.clone());
        let refused = Loss::Refused(server_error(code.clone()));
        assert_eq!(dialogue.fail(), [(1, refused), (2, Loss::NotSent), (3, Loss::NotSent)], "{code}");
    }
}

#[test]
fn an_answer_before_the_error_moves_the_blame_to_the_next() {
    let mut dialogue = publishing();
    assert_eq!(dialogue.response("OK"), [answer(1, "OK")]);
    refuse(&mut dialogue, ErrorCode::PubFailed);
    let refused = Loss::Refused(server_error(ErrorCode::PubFailed));
    assert_eq!(dialogue.fail(), [(2, refused), (3, Loss::NotSent)]);
}

#[test]
fn the_blame_stays_with_a_waiter_who_has_left() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + SECOND;
    dialogue.connection.publish(&publish(), 1, Some(deadline)).unwrap();
    dialogue.publish(2);
    dialogue.sent();
    assert_eq!(dialogue.wait(SECOND), [Event::TimedOut { waiter: 1, sent: true }]);
    refuse(&mut dialogue, ErrorCode::PubFailed);
    assert_eq!(dialogue.fail(), [(2, Loss::NotSent)]);
}

#[test]
fn a_publish_refused_at_its_size_is_refused_though_its_body_has_not_left() {
    let mut dialogue = Dialogue::new();
    dialogue.publish(1);
    dialogue.connection.output().advance("PUB orders\n\0\0\0\x02".len());
    refuse(&mut dialogue, ErrorCode::BadMessage);
    assert_eq!(dialogue.fail(), [(1, Loss::Refused(server_error(ErrorCode::BadMessage)))]);
}

#[test]
fn behind_an_error_that_nobody_knows_nothing_is_known() {
    let mut dialogue = publishing();
    dialogue.publish(4);
    let code = ErrorCode::Other("E_TOMORROW".into());
    refuse(&mut dialogue, code.clone());
    let refused = Loss::Refused(server_error(code));
    assert_eq!(dialogue.fail(), [(1, refused), (2, Loss::Unknown), (3, Loss::Unknown), (4, Loss::NotSent)]);
}

#[test]
fn a_connection_that_just_ends_leaves_the_outcome_of_what_was_sent_unknown() {
    let mut dialogue = publishing();
    dialogue.response("OK");
    dialogue.publish(4);
    assert_eq!(dialogue.fail(), [(2, Loss::Unknown), (3, Loss::Unknown), (4, Loss::NotSent)]);
}

#[test]
fn a_publish_counts_as_sent_with_its_last_byte() {
    let publish_len = "PUB orders\n\0\0\0\x0217".len();
    for cut in 0..=2 * publish_len {
        let mut dialogue = Dialogue::new();
        dialogue.publish(1);
        dialogue.publish(2);
        assert_eq!(dialogue.connection.output().remaining(), 2 * publish_len);
        dialogue.connection.output().advance(cut);
        let loss = |whole| if whole { Loss::Unknown } else { Loss::NotSent };
        let expected = [(1, loss(cut >= publish_len)), (2, loss(cut == 2 * publish_len))];
        assert_eq!(dialogue.fail(), expected, "after {cut} bytes");
    }
}

#[test]
fn a_large_publish_counts_as_sent_with_its_last_byte() {
    let body = Bytes::from(vec![b'x'; 100_000]);
    let len = "PUB orders\n".len() + 4 + body.len();
    for (sent, loss) in [(len - 1, Loss::NotSent), (len, Loss::Unknown)] {
        let mut dialogue = Dialogue::new();
        let command = Command::Pub { topic: topic(), body: body.clone() };
        dialogue.connection.publish(&command, 1, None).unwrap();
        dialogue.connection.output().advance(sent);
        assert_eq!(dialogue.fail(), [(1, loss)]);
    }
}

#[test]
fn every_command_with_an_answer_tells_its_waiter() {
    let mut dialogue = Dialogue::new();
    dialogue.connection.auth("secret".into(), 1, None).unwrap();
    dialogue.connection.subscribe(topic(), channel(), 2, None).unwrap();
    dialogue.publish(3);
    dialogue.connection.start_close(4, None).unwrap();
    dialogue.sent();
    let all = [1, 2, 3, 4].map(|waiter| (waiter, Loss::Unknown));
    assert_eq!(dialogue.fail(), all);
}

#[test]
fn identify_that_did_not_leave_is_not_sent() {
    let mut dialogue = Dialogue::new();
    dialogue.identify(negotiating());
    assert_eq!(dialogue.fail(), [(0, Loss::NotSent)]);
}

#[test]
fn what_was_in_flight_is_gone_with_the_connection() {
    let mut dialogue = Dialogue::subscribed();
    dialogue.frame(&message_frame(1));
    dialogue.fail();
    assert_eq!(dialogue.connection.requeue_all(), 0);
    assert_eq!(dialogue.sent(), []);
}
