//! Commands at a time when nsqd would end the connection for them are refused here, and not sent.

use std::time::Duration;

use bytes::Bytes;
use gnsq_proto::connection::StateError;
use gnsq_proto::{Command, Connection};

use crate::support::{Dialogue, channel, error, id, negotiating, publish, topic};

type Call = fn(&mut Connection<u32>) -> Result<(), StateError>;

const IDENTIFY: Call = |connection| Ok(connection.identify(negotiating(), 9, None)?);
const AUTH: Call = |connection| Ok(connection.auth("secret".into(), 9, None)?);
const SUB: Call = |connection| Ok(connection.subscribe(topic(), channel(), 9, None)?);
const PUB: Call = |connection| Ok(connection.publish(&publish(), 9, None)?);
const RDY: Call = |connection| connection.ready(1);
const FIN: Call = |connection| connection.finish(id(1)).map(drop);
const REQ: Call = |connection| connection.requeue(id(1), Duration::ZERO).map(drop);
const TOUCH: Call = |connection| connection.touch(id(1), std::time::Instant::now()).map(drop);
const CLS: Call = |connection| Ok(connection.start_close(9, None)?);
const NOP: Call = |connection| connection.nop();

const ALL: [(&str, Call); 10] = [
    ("IDENTIFY", IDENTIFY),
    ("AUTH", AUTH),
    ("SUB", SUB),
    ("PUB", PUB),
    ("RDY", RDY),
    ("FIN", FIN),
    ("REQ", REQ),
    ("TOUCH", TOUCH),
    ("CLS", CLS),
    ("NOP", NOP),
];

/// In the state that `prepare` gives, exactly these commands are sent.
fn only(allowed: &[&str], prepare: impl Fn() -> Dialogue) {
    for (name, call) in ALL {
        let mut dialogue = prepare();
        if allowed.contains(&name) {
            call(&mut dialogue.connection).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(dialogue.sent().len(), 1, "{name}");
        } else {
            dialogue.refused(call);
        }
    }
}

#[test]
fn before_anything_is_subscribed() {
    only(&["IDENTIFY", "AUTH", "SUB", "PUB", "NOP"], Dialogue::new);
}

#[test]
fn while_identify_is_under_way() {
    only(&[], || {
        let mut dialogue = Dialogue::new();
        dialogue.identify(negotiating());
        dialogue.sent();
        dialogue
    });
}

#[test]
fn after_identify() {
    only(&["AUTH", "SUB", "PUB", "NOP"], || Dialogue::identified(negotiating(), "{}"));
}

#[test]
fn identify_is_refused_behind_what_is_not_answered_yet() {
    for call in [AUTH, PUB] {
        let mut dialogue = Dialogue::new();
        call(&mut dialogue.connection).unwrap();
        dialogue.refused(IDENTIFY);
    }
}

#[test]
fn after_a_subscription_even_before_its_answer() {
    let allowed = ["PUB", "RDY", "FIN", "REQ", "TOUCH", "CLS", "NOP"];
    only(&allowed, Dialogue::subscribed);
    only(&allowed, || {
        let mut dialogue = Dialogue::new();
        SUB(&mut dialogue.connection).unwrap();
        dialogue.sent();
        dialogue
    });
}

#[test]
fn after_cls() {
    // RDY is ignored by nsqd here, and no error.
    only(&["PUB", "RDY", "FIN", "REQ", "TOUCH", "NOP"], || {
        let mut dialogue = Dialogue::subscribed();
        CLS(&mut dialogue.connection).unwrap();
        dialogue.sent();
        dialogue
    });
}

#[test]
fn after_the_end() {
    only(&[], || {
        let mut dialogue = Dialogue::subscribed();
        dialogue.fail();
        dialogue
    });
    only(&[], || {
        let mut dialogue = Dialogue::subscribed();
        dialogue.fatal(&error("E_INVALID why"));
        dialogue
    });
}

#[test]
fn publish_takes_the_three_commands_that_publish_and_no_other() {
    let mut dialogue = Dialogue::new();
    let body = Bytes::from_static(b"x");
    for command in [
        publish(),
        Command::Dpub { topic: topic(), delay_ms: 5, body: body.clone() },
        Command::Mpub { topic: topic(), bodies: [body.clone(), body.clone()].into() },
    ] {
        dialogue.connection.publish(&command.clone(), 1, None).unwrap();
        assert_eq!(dialogue.sent(), [command]);
    }
    for command in [Command::Nop, Command::Cls, Command::Auth(body.into()), Command::Fin(id(1))] {
        dialogue.refused(|connection| connection.publish(&command, 1, None));
    }
}
