//! Waiters who give up.

use std::time::{Duration, Instant};

use bytes::Buf;
use gnsq_proto::connection::{Event, Loss};

use crate::support::{Dialogue, SECOND, answer, channel, just_before, late, publish, topic};

fn publish_until(dialogue: &mut Dialogue, waiter: u32, deadline: Instant) {
    dialogue.connection.publish(&publish(), waiter, Some(deadline)).unwrap();
}

fn timed_out(waiter: u32, sent: bool) -> Event<u32> {
    Event::TimedOut { waiter, sent }
}

#[test]
fn a_waiter_leaves_at_its_deadline_and_not_before() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + SECOND;
    publish_until(&mut dialogue, 1, deadline);
    dialogue.sent();
    assert_eq!(dialogue.connection.next_timeout(), Some(deadline));
    assert_eq!(dialogue.wait(just_before(SECOND)), []);
    assert_eq!(dialogue.wait(Duration::from_nanos(1)), [timed_out(1, true)]);
    assert_eq!(dialogue.wait(SECOND), []);
}

#[test]
fn whether_it_was_sent_is_decided_by_its_last_byte() {
    let len = "PUB orders\n\0\0\0\x0217".len();
    for cut in 0..=len {
        let mut dialogue = Dialogue::new();
        let deadline = dialogue.now + SECOND;
        publish_until(&mut dialogue, 1, deadline);
        dialogue.connection.output().advance(cut);
        assert_eq!(dialogue.wait(SECOND), [timed_out(1, cut == len)], "after {cut} bytes");
    }
}

#[test]
fn a_late_answer_is_dropped_and_the_next_goes_to_its_own_waiter() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + SECOND;
    publish_until(&mut dialogue, 1, deadline);
    dialogue.publish(2);
    publish_until(&mut dialogue, 3, deadline);
    dialogue.publish(4);
    dialogue.sent();
    assert_eq!(dialogue.wait(SECOND), [timed_out(1, true), timed_out(3, true)]);
    assert_eq!(dialogue.connection.outstanding(), 4);
    assert_eq!(dialogue.response("OK"), [late("OK")]);
    assert_eq!(dialogue.response("OK"), [answer(2, "OK")]);
    assert_eq!(dialogue.response("OK"), [late("OK")]);
    assert_eq!(dialogue.response("OK"), [answer(4, "OK")]);
}

#[test]
fn a_waiter_who_was_answered_does_not_time_out() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + SECOND;
    publish_until(&mut dialogue, 1, deadline);
    publish_until(&mut dialogue, 2, deadline + SECOND);
    assert_eq!(dialogue.response("OK"), [answer(1, "OK")]);
    assert_eq!(dialogue.wait(SECOND), []);
    assert_eq!(dialogue.connection.next_timeout(), Some(deadline + SECOND));
    assert_eq!(dialogue.wait(SECOND), [timed_out(2, false)]);
}

#[test]
fn deadlines_need_not_be_in_order() {
    let mut dialogue = Dialogue::new();
    let start = dialogue.now;
    for (waiter, seconds) in [(1, 3), (2, 1), (3, 2)] {
        publish_until(&mut dialogue, waiter, start + seconds * SECOND);
    }
    assert_eq!(dialogue.connection.next_timeout(), Some(start + SECOND));
    for waiter in [2, 3, 1] {
        assert_eq!(dialogue.wait(SECOND), [timed_out(waiter, false)]);
    }
}

#[test]
fn a_waiter_who_has_left_is_not_told_again_at_the_end() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + SECOND;
    publish_until(&mut dialogue, 1, deadline);
    dialogue.publish(2);
    dialogue.sent();
    assert_eq!(dialogue.wait(SECOND), [timed_out(1, true)]);
    assert_eq!(dialogue.fail(), [(2, Loss::Unknown)]);
}

#[test]
fn a_waiter_whose_event_was_not_polled_is_told_at_the_end() {
    let mut dialogue = Dialogue::new();
    let deadline = dialogue.now + 60 * SECOND;
    publish_until(&mut dialogue, 1, deadline);
    dialogue.sent();
    publish_until(&mut dialogue, 2, deadline);
    dialogue.publish(3);
    dialogue.connection.handle_timeout(deadline).unwrap_err();
    assert_eq!(dialogue.fail(), [(1, Loss::Unknown), (2, Loss::NotSent), (3, Loss::NotSent)]);
    assert_eq!(dialogue.events(), []);
}

#[test]
fn the_other_commands_keep_deadlines_too() {
    let mut dialogue = Dialogue::new();
    let at = Some(dialogue.now + SECOND);
    dialogue.connection.auth("secret".into(), 1, at).unwrap();
    dialogue.connection.subscribe(topic(), channel(), 2, at).unwrap();
    dialogue.connection.start_close(3, at).unwrap();
    dialogue.sent();
    assert_eq!(dialogue.wait(SECOND), [1, 2, 3].map(|waiter| timed_out(waiter, true)));
    assert_eq!(dialogue.response("{}"), [late("{}")]);
    assert_eq!(dialogue.response("OK"), [late("OK")]);
    assert_eq!(dialogue.response("CLOSE_WAIT"), [late("CLOSE_WAIT")]);
}
