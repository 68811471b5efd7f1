//! Commands from an nsqd to nsqlookupd, and its answers.

use bytes::{Bytes, BytesMut};
use gnsq_proto::lookupd::{LookupdCommand, LookupdError, LookupdReply};
use gnsq_proto::{ChannelName, ErrorCode, ServerError, TopicName};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{body, channel, damage, damaged, every_cut_gives, feed, pieces, plausible_bytes, server_error, topic};

const LIMIT: usize = 60;
const NO_LIMIT: usize = usize::MAX;

fn command() -> impl Strategy<Value = LookupdCommand> {
    prop_oneof![
        body(0).prop_map(LookupdCommand::Identify),
        (topic(), option::of(channel())).prop_map(|(topic, channel)| LookupdCommand::Register(topic, channel)),
        (topic(), option::of(channel())).prop_map(|(topic, channel)| LookupdCommand::Unregister(topic, channel)),
        Just(LookupdCommand::Ping),
    ]
}

fn reply() -> impl Strategy<Value = LookupdReply> {
    let data =
        body(0).prop_filter("is told from the others by its text", |data| data != "OK" && !data.starts_with(b"E_"));
    prop_oneof![Just(LookupdReply::Ok), data.prop_map(LookupdReply::Data), server_error().prop_map(LookupdReply::Error),]
}

fn commands_wire(commands: &[LookupdCommand]) -> BytesMut {
    let mut out = BytesMut::new();
    for command in commands {
        command.encode(&mut out);
    }
    out
}

fn replies_wire(replies: &[LookupdReply]) -> BytesMut {
    let mut out = BytesMut::new();
    for reply in replies {
        reply.encode(&mut out);
    }
    out
}

fn decode(line: &str) -> Result<Option<LookupdCommand>, LookupdError> {
    LookupdCommand::decode(&mut BytesMut::from(line), LIMIT)
}

const WORDS: &[&str] = &[
    "IDENTIFY\n",
    "REGISTER t",
    "UNREGISTER t c\n",
    "PING\n",
    "\0\0\0\x02OK",
    "\0\0\0\x09E_INVALID",
    " ",
    "c\n",
    "\n",
];

proptest! {
    #[test]
    fn every_command_is_read_as_it_was_written(command in command()) {
        let mut input = commands_wire(std::slice::from_ref(&command));
        prop_assert_eq!(LookupdCommand::decode(&mut input, NO_LIMIT), Ok(Some(command)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn every_reply_is_read_as_it_was_written(reply in reply()) {
        let mut input = replies_wire(std::slice::from_ref(&reply));
        prop_assert_eq!(LookupdReply::decode(&mut input, NO_LIMIT), Ok(Some(reply)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn commands_stay_the_same_however_the_stream_is_cut(commands in vec(command(), 1..6), sizes in pieces()) {
        let decoded = feed(&commands_wire(&commands), &sizes, |input| LookupdCommand::decode(input, NO_LIMIT));
        prop_assert_eq!(decoded.items, commands);
        prop_assert_eq!((decoded.error, decoded.left), (None, 0));
    }

    #[test]
    fn replies_stay_the_same_however_the_stream_is_cut(replies in vec(reply(), 1..6), sizes in pieces()) {
        let decoded = feed(&replies_wire(&replies), &sizes, |input| LookupdReply::decode(input, NO_LIMIT));
        prop_assert_eq!(decoded.items, replies);
        prop_assert_eq!((decoded.error, decoded.left), (None, 0));
    }

    #[test]
    fn any_bytes_are_items_or_an_error_and_the_cuts_do_not_matter(
        stream in plausible_bytes(WORDS),
        sizes in pieces(),
    ) {
        let once = [stream.len().max(1)];
        let cut = feed(&stream, &sizes, |input| LookupdCommand::decode(input, LIMIT));
        let whole = feed(&stream, &once, |input| LookupdCommand::decode(input, LIMIT));
        prop_assert!(cut.held < 16 * 1024 + 4 + LIMIT);
        prop_assert_eq!((cut.items, cut.error, cut.left), (whole.items, whole.error, whole.left));

        let cut = feed(&stream, &sizes, |input| LookupdReply::decode(input, LIMIT));
        let whole = feed(&stream, &once, |input| LookupdReply::decode(input, LIMIT));
        prop_assert!(cut.held < 4 + LIMIT);
        prop_assert_eq!((cut.items, cut.error, cut.left), (whole.items, whole.error, whole.left));
    }

    #[test]
    fn damaged_streams_end_in_items_or_an_error(
        commands in vec(command(), 1..6),
        replies in vec(reply(), 1..6),
        damage in damage(),
        sizes in pieces(),
    ) {
        let commands = damaged(&commands_wire(&commands), &damage);
        prop_assert!(feed(&commands, &sizes, |input| LookupdCommand::decode(input, LIMIT)).held < 16 * 1024 + 4 + LIMIT);
        let replies = damaged(&replies_wire(&replies), &damage);
        prop_assert!(feed(&replies, &sizes, |input| LookupdReply::decode(input, LIMIT)).held < 4 + LIMIT);
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let topic = TopicName::new("orders.paid").unwrap();
    let channel = ChannelName::new("tail#ephemeral").unwrap();
    let commands = [
        LookupdCommand::Identify(Bytes::from_static(b"{}")),
        LookupdCommand::Register(topic.clone(), None),
        LookupdCommand::Register(topic.clone(), Some(channel.clone())),
        LookupdCommand::Ping,
        LookupdCommand::Unregister(topic.clone(), Some(channel)),
        LookupdCommand::Unregister(topic, None),
    ];
    every_cut_gives(&commands_wire(&commands), &commands, |input| LookupdCommand::decode(input, LIMIT));
    let replies = [
        LookupdReply::Data(Bytes::from_static(br#"{"version":"1.3.0"}"#)),
        LookupdReply::Ok,
        LookupdReply::Error(ServerError::new(ErrorCode::BadTopic, "REGISTER topic name 'a b' is not valid")),
    ];
    every_cut_gives(&replies_wire(&replies), &replies, |input| LookupdReply::decode(input, LIMIT));
}

#[test]
fn a_size_is_refused_before_its_body_arrives() {
    for size in [i32::MIN, -1, 61, i32::MAX] {
        let error = LookupdError::Size { size, limit: LIMIT };
        let mut input = BytesMut::from("IDENTIFY\n");
        input.extend_from_slice(&size.to_be_bytes());
        assert_eq!(LookupdCommand::decode(&mut input, LIMIT), Err(error.clone()));
        assert_eq!(LookupdReply::decode(&mut BytesMut::from(&size.to_be_bytes()[..]), LIMIT), Err(error));
    }
}

#[test]
fn a_wrong_line_names_what_is_wrong() {
    assert_eq!(decode("ping\n"), Err(LookupdError::Unknown("ping".into())));
    assert_eq!(decode("REGISTER\n"), Err(LookupdError::Parameters("REGISTER")));
    assert_eq!(decode("UNREGISTER\n"), Err(LookupdError::Parameters("UNREGISTER")));
    let topic = |command, name: &str| LookupdError::Topic { command, name: name.into() };
    assert_eq!(decode("REGISTER t!\n"), Err(topic("REGISTER", "t!")));
    assert_eq!(decode("UNREGISTER  c\n"), Err(topic("UNREGISTER", "")));
    assert_eq!(decode("REGISTER t c!\n"), Err(LookupdError::Channel { command: "REGISTER", name: "c!".into() }));
    assert_eq!(decode(&"x".repeat(16 * 1024 - 1)), Ok(None));
    assert_eq!(decode(&"x".repeat(16 * 1024)), Err(LookupdError::LineTooLong));
}

#[test]
fn lines_are_read_as_nsqlookupd_reads_them() {
    let topic = TopicName::new("t").unwrap();
    for line in ["REGISTER t\n", " REGISTER t \r\n", "REGISTER t  c\n"] {
        assert_eq!(decode(line), Ok(Some(LookupdCommand::Register(topic.clone(), None))), "{line:?}");
    }
    let channel = ChannelName::new("c").unwrap();
    assert_eq!(decode("REGISTER t c d\n"), Ok(Some(LookupdCommand::Register(topic, Some(channel)))));
    assert_eq!(decode("PING a b\n"), Ok(Some(LookupdCommand::Ping)));
}

#[test]
fn what_is_wrong_is_answered_in_the_words_of_nsqlookupd() {
    for (line, answer) in [
        ("\n", "E_INVALID invalid command "),
        ("FOO bar\n", "E_INVALID invalid command FOO"),
        ("REGISTER\n", "E_INVALID REGISTER insufficient number of params"),
        ("REGISTER a$ b\n", "E_BAD_TOPIC REGISTER topic name 'a$' is not valid"),
        ("UNREGISTER a b$\n", "E_BAD_CHANNEL UNREGISTER channel name 'b$' is not valid"),
        ("IDENTIFY\n\u{7f}\u{7f}\u{7f}\u{7f}", "E_BAD_BODY IDENTIFY body too big 2139062143 > 60"),
    ] {
        let mut wire = BytesMut::new();
        decode(line).unwrap_err().to_reply().encode(&mut wire);
        assert_eq!(&wire[4..], answer.as_bytes(), "{line:?}");
    }
}
