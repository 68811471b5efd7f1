//! Commands from a client to nsqd.

use bytes::{Bytes, BytesMut};
use gnsq_proto::{ChannelName, Command, MessageId, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;

use super::reader::CommandReader;
use super::{body, channel, damage, damaged, every_cut_gives, feed, id, pieces, plausible_bytes, topic, wire};

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        body(1).prop_map(Command::Identify),
        body(1).prop_map(|secret| Command::Auth(secret.into())),
        (topic(), channel()).prop_map(|(topic, channel)| Command::Sub { topic, channel }),
        any::<u32>().prop_map(Command::Rdy),
        id().prop_map(Command::Fin),
        (id(), any::<u64>()).prop_map(|(id, delay_ms)| Command::Req { id, delay_ms }),
        id().prop_map(Command::Touch),
        Just(Command::Cls),
        Just(Command::Nop),
        (topic(), body(1)).prop_map(|(topic, body)| Command::Pub { topic, body }),
        (topic(), any::<u64>(), body(1)).prop_map(|(topic, delay_ms, body)| Command::Dpub { topic, delay_ms, body }),
        (topic(), vec(body(1), 1..6)).prop_map(|(topic, bodies)| Command::Mpub { topic, bodies: bodies.into() }),
    ]
}

fn one_of_each() -> Vec<Command> {
    let topic = TopicName::new("orders.paid").unwrap();
    let channel = ChannelName::new("tail#ephemeral").unwrap();
    let id = MessageId(*b"0d2a5b7c9e1f3a00");
    let body = Bytes::from_static(b"two\nlines");
    vec![
        Command::Identify(Bytes::from_static(b"{}")),
        Command::Auth(body.clone().into()),
        Command::Sub { topic: topic.clone(), channel },
        Command::Rdy(2500),
        Command::Fin(id),
        Command::Req { id, delay_ms: 90_000 },
        Command::Touch(id),
        Command::Cls,
        Command::Nop,
        Command::Pub { topic: topic.clone(), body: body.clone() },
        Command::Dpub { topic: topic.clone(), delay_ms: 7, body: body.clone() },
        Command::Mpub { topic, bodies: [body.clone(), body, Bytes::from_static(b"z")].into() },
    ]
}

const SMALL: CommandReader = CommandReader { max_msg_size: 30, max_body_size: 60 };

/// A line of 16 KiB, or a body of the limit behind one.
const MOST_HELD: usize = 16 * 1024 + 4 + 60;

const WORDS: &[&str] = &[
    "IDENTIFY\n",
    "AUTH\n",
    "SUB t c\n",
    "RDY 5\n",
    "RDY",
    "FIN ",
    "REQ 0123456789abcdef 5",
    "TOUCH ",
    "0123456789abcdef",
    "CLS\n",
    "NOP\n",
    "PUB t\n",
    "DPUB t 5\n",
    "MPUB t\n",
    "MPUB t\n\0\0\0\x18\0\0\0\x02\0\0\0\x08",
    " ",
    "\r\n",
    "\n",
];

proptest! {
    #[test]
    fn every_command_is_read_as_it_was_written(command in command()) {
        let mut input = BytesMut::from(wire([command.clone()]));
        prop_assert_eq!(CommandReader::default().read(&mut input), Ok(Some(command)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn commands_stay_the_same_however_the_stream_is_cut(commands in vec(command(), 1..6), sizes in pieces()) {
        let stream = wire(commands.clone());
        let decoded = feed(&stream, &sizes, |input| CommandReader::default().read(input));
        prop_assert_eq!(decoded.items, commands);
        prop_assert_eq!((decoded.error, decoded.left), (None, 0));
    }

    #[test]
    fn any_bytes_are_commands_or_an_error_and_the_cuts_do_not_matter(
        stream in plausible_bytes(WORDS),
        sizes in pieces(),
    ) {
        let cut = feed(&stream, &sizes, |input| SMALL.read(input));
        let whole = feed(&stream, &[stream.len().max(1)], |input| SMALL.read(input));
        prop_assert!(cut.held < MOST_HELD);
        prop_assert_eq!((cut.items, cut.error, cut.left), (whole.items, whole.error, whole.left));
    }

    #[test]
    fn a_damaged_stream_ends_in_commands_or_an_error(
        commands in vec(command(), 1..6),
        damage in damage(),
        sizes in pieces(),
    ) {
        let stream = damaged(&wire(commands), &damage);
        let decoded = feed(&stream, &sizes, |input| SMALL.read(input));
        prop_assert!(decoded.held < MOST_HELD);
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let commands = one_of_each();
    every_cut_gives(&wire(commands.clone()), &commands, |input| CommandReader::default().read(input));
}
