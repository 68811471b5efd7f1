//! Commands from a client to nsqd.

use bytes::{Bytes, BytesMut};
use gnsq_proto::command::{CommandDecoder, CommandError};
use gnsq_proto::{ChannelName, Command, ErrorCode, MessageId, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;

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

const SMALL: CommandDecoder = CommandDecoder { max_msg_size: 30, max_body_size: 60 };

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

fn decode_all(stream: &[u8]) -> Result<Vec<Command>, CommandError> {
    let decoded = feed(stream, &[stream.len().max(1)], |input| SMALL.decode(input));
    decoded.error.map_or(Ok(decoded.items), Err)
}

/// `head` as text, then each number in 4 bytes.
fn sized(head: &str, numbers: &[i32]) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    bytes
}

/// An MPUB of these sizes, and as many bytes of messages as its total says.
fn mpub(total: i32, count: i32, first: i32) -> Vec<u8> {
    let mut bytes = sized("MPUB t\n", &[total, count, first]);
    bytes.resize("MPUB t\n".len() + 4 + usize::try_from(total).unwrap(), b'x');
    bytes
}

fn bad_body(size: i64) -> CommandError {
    CommandError::Body { command: "MPUB", size }
}

fn bad_message(size: i64) -> CommandError {
    CommandError::Message { command: "MPUB", size }
}

proptest! {
    #[test]
    fn every_command_is_read_as_it_was_written(command in command()) {
        let mut input = BytesMut::from(wire([command.clone()]));
        prop_assert_eq!(CommandDecoder::default().decode(&mut input), Ok(Some(command)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn commands_stay_the_same_however_the_stream_is_cut(commands in vec(command(), 1..6), sizes in pieces()) {
        let stream = wire(commands.clone());
        let decoded = feed(&stream, &sizes, |input| CommandDecoder::default().decode(input));
        prop_assert_eq!(decoded.items, commands);
        prop_assert_eq!((decoded.error, decoded.left), (None, 0));
    }

    #[test]
    fn any_bytes_are_commands_or_an_error_and_the_cuts_do_not_matter(
        stream in plausible_bytes(WORDS),
        sizes in pieces(),
    ) {
        let cut = feed(&stream, &sizes, |input| SMALL.decode(input));
        let whole = feed(&stream, &[stream.len().max(1)], |input| SMALL.decode(input));
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
        let decoded = feed(&stream, &sizes, |input| SMALL.decode(input));
        prop_assert!(decoded.held < MOST_HELD);
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let commands = one_of_each();
    every_cut_gives(&wire(commands.clone()), &commands, |input| CommandDecoder::default().decode(input));
}

#[test]
fn a_body_is_not_copied() {
    let body = Bytes::from_static(b"a body");
    let mut input = BytesMut::from(wire([Command::Pub { topic: TopicName::new("t").unwrap(), body: body.clone() }]));
    let memory = input.as_ptr_range();
    let Ok(Some(Command::Pub { body: read, .. })) = SMALL.decode(&mut input) else { panic!("no PUB") };
    assert_eq!(read, body);
    assert!(memory.contains(&read.as_ptr()));
}

#[test]
fn one_carriage_return_before_the_line_end_is_taken_off() {
    assert_eq!(decode_all(b"NOP\r\nRDY 7\r\n"), Ok(vec![Command::Nop, Command::Rdy(7)]));
    assert_eq!(decode_all(b"NOP\r\r\n"), Err(CommandError::Unknown("NOP\r".into())));
}

#[test]
fn rdy_without_a_number_is_one_and_with_an_empty_one_zero() {
    assert_eq!(decode_all(b"RDY\nRDY \n"), Ok(vec![Command::Rdy(1), Command::Rdy(0)]));
}

#[test]
fn a_line_is_refused_as_soon_as_it_is_too_long() {
    let mut input = BytesMut::from(&[b'x'; 16 * 1024 - 1][..]);
    assert_eq!(SMALL.decode(&mut input), Ok(None));
    input.extend_from_slice(b"x");
    assert_eq!(SMALL.decode(&mut input), Err(CommandError::LineTooLong));
}

#[test]
fn the_longest_line_is_read() {
    let mut line = vec![b'0'; 16 * 1024];
    line[..4].copy_from_slice(b"RDY ");
    line[16 * 1024 - 1] = b'\n';
    assert_eq!(decode_all(&line), Ok(vec![Command::Rdy(0)]));
}

#[test]
fn a_wrong_line_names_what_is_wrong() {
    let id = "0123456789abcdef";
    let topic = |command, name: &str| CommandError::Topic { command, name: name.into() };
    let number = |command, text: &str| CommandError::Number { command, text: text.into() };
    for (line, error, code) in [
        ("\n", CommandError::Unknown(String::new()), ErrorCode::Invalid),
        ("nop\n", CommandError::Unknown("nop".into()), ErrorCode::Invalid),
        ("SUB\n", CommandError::Parameters("SUB"), ErrorCode::Invalid),
        ("SUB t\n", CommandError::Parameters("SUB"), ErrorCode::Invalid),
        ("SUB t! c\n", topic("SUB", "t!"), ErrorCode::BadTopic),
        ("SUB t c!\n", CommandError::Channel { command: "SUB", name: "c!".into() }, ErrorCode::BadChannel),
        ("PUB\n", CommandError::Parameters("PUB"), ErrorCode::Invalid),
        ("PUB \n", topic("PUB", ""), ErrorCode::BadTopic),
        ("MPUB t#\n", topic("MPUB", "t#"), ErrorCode::BadTopic),
        ("DPUB t\n", CommandError::Parameters("DPUB"), ErrorCode::Invalid),
        ("DPUB t 1.5\n", number("DPUB", "1.5"), ErrorCode::Invalid),
        ("RDY -1\n", number("RDY", "-1"), ErrorCode::Invalid),
        ("RDY +1\n", number("RDY", "+1"), ErrorCode::Invalid),
        ("FIN\n", CommandError::Parameters("FIN"), ErrorCode::Invalid),
        ("FIN 0123456789abcde\n", CommandError::BadMessageId("FIN"), ErrorCode::Invalid),
        ("TOUCH 0123456789abcdef0\n", CommandError::BadMessageId("TOUCH"), ErrorCode::Invalid),
        (&format!("REQ {id}\n"), CommandError::Parameters("REQ"), ErrorCode::Invalid),
        (&format!("REQ {id} soon\n"), number("REQ", "soon"), ErrorCode::Invalid),
    ] {
        assert_eq!(decode_all(line.as_bytes()), Err(error.clone()), "{line:?}");
        assert_eq!(error.to_server_error().code(), &code, "{line:?}");
    }
}

#[test]
fn a_size_is_refused_before_its_body_arrives() {
    for size in [i32::MIN, -1, 0, 61, i32::MAX] {
        for (line, command) in [("IDENTIFY\n", "IDENTIFY"), ("AUTH\n", "AUTH"), ("MPUB t\n", "MPUB")] {
            let error = CommandError::Body { command, size: size.into() };
            assert_eq!(error.to_server_error().code(), &ErrorCode::BadBody);
            assert_eq!(decode_all(&sized(line, &[size])), Err(error));
        }
    }
    for size in [i32::MIN, -1, 0, 31, i32::MAX] {
        for (line, command) in [("PUB t\n", "PUB"), ("DPUB t 0\n", "DPUB")] {
            let error = CommandError::Message { command, size: size.into() };
            assert_eq!(error.to_server_error().code(), &ErrorCode::BadMessage);
            assert_eq!(decode_all(&sized(line, &[size])), Err(error));
        }
    }
}

#[test]
fn the_largest_sizes_are_taken() {
    for (line, size) in [("IDENTIFY\n", 60), ("AUTH\n", 60), ("PUB t\n", 30), ("DPUB t 0\n", 30)] {
        let mut stream = sized(line, &[size]);
        stream.resize(stream.len() + usize::try_from(size).unwrap(), b'x');
        assert_eq!(decode_all(&stream).map(|commands| commands.len()), Ok(1), "{line:?}");
    }
    let bodies = [Bytes::from_static(&[b'x'; 30]), Bytes::from_static(&[b'x'; 18])].into();
    let largest = Command::Mpub { topic: TopicName::new("t").unwrap(), bodies };
    assert_eq!(decode_all(&wire([largest.clone()])), Ok(vec![largest]));
}

#[test]
fn an_mpub_too_short_for_its_count_is_refused() {
    for total in 1..4 {
        let mut stream = sized("MPUB t\n", &[total]);
        stream.resize(stream.len() + usize::try_from(total).unwrap(), 0);
        assert_eq!(decode_all(&stream), Err(bad_body(total.into())));
    }
}

#[test]
fn an_mpub_whose_count_cannot_be_is_refused() {
    // 14 bytes have room for two messages of one byte.
    for count in [i32::MIN, -1, 0, 3, 1000, i32::MAX] {
        assert_eq!(decode_all(&mpub(14, count, 1)), Err(bad_body(count.into())));
    }
}

#[test]
fn an_mpub_with_a_message_of_a_wrong_size_is_refused() {
    for size in [i32::MIN, -1, 0, 31, i32::MAX] {
        let error = decode_all(&mpub(60, 2, size)).unwrap_err();
        assert_eq!(error, bad_message(size.into()));
        assert_eq!(error.to_server_error().code(), &ErrorCode::BadMessage);
    }
}

#[test]
fn an_mpub_whose_messages_reach_behind_its_end_is_refused() {
    // 14 bytes: the count, a size, and 6 bytes, which leave no room for a second message's size.
    assert_eq!(decode_all(&mpub(14, 1, 7)), Err(bad_body(14)));
    assert_eq!(decode_all(&mpub(14, 2, 6)), Err(bad_body(14)));
    assert_eq!(decode_all(&mpub(14, 2, 3)), Err(bad_body(14)));
}
