//! The server's side: commands out of bytes.

#![no_main]

#[path = "../../crates/gnsq-proto/tests/reader/mod.rs"]
mod reader;

use bytes::{Buf, BytesMut};
use gnsq_fuzz::{Cuts, feed_both_ways};
use gnsq_proto::command::decode::{Body, Line, number, sized_body, sized_message};
use gnsq_proto::{Command, Outgoing};
use libfuzzer_sys::fuzz_target;
use reader::CommandReader;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, stream)) = Cuts::split(data) else { return };
    let reader = CommandReader { max_msg_size: MAX_MSG_SIZE, max_body_size: MAX_BODY_SIZE };
    let decoded = feed_both_ways(stream, &cuts, MAX_LINE + 4 + MAX_BODY_SIZE, |input| {
        line(input);
        reader.read(input)
    });

    // What was read is read again as it was from what it is written as.
    let mut wire = Outgoing::new();
    let commands: Vec<_> = decoded.items.into_iter().filter(is_from_a_client_that_keeps_to_ids).collect();
    for command in &commands {
        command.encode(&mut wire);
    }
    let wire = wire.copy_to_bytes(wire.remaining());
    let again = feed_both_ways(&wire, &cuts, usize::MAX, |input| reader.read(input));
    assert_eq!((again.items, again.error, again.left), (commands, None, 0));
});

/// The stages, held against the bytes.
fn line(input: &BytesMut) {
    let newline = input.iter().position(|byte| *byte == b'\n');
    match Line::parse(input) {
        Ok(Some((line, end))) => {
            assert_eq!(newline, Some(end - 1));
            assert!(end <= MAX_LINE);
            let words: Vec<_> = std::iter::once(line.word).chain(line.params()).collect();
            assert!(words.iter().all(|word| !word.contains(&b' ') && !word.contains(&b'\n')));
            let text = input[..end - 1].strip_suffix(b"\r").unwrap_or(&input[..end - 1]);
            assert_eq!(words.join(&b' '), text);
            for param in line.params() {
                assert_eq!(number(param).is_some(), param.iter().all(u8::is_ascii_digit));
            }
            body(&input[end..]);
        }
        Ok(None) => assert!(newline.is_none() && input.len() < MAX_LINE),
        Err(_) => assert!(newline.is_none_or(|end| end >= MAX_LINE) && input.len() >= MAX_LINE),
    }
}

fn body(input: &[u8]) {
    for (body, limit) in
        [(sized_body(input, MAX_BODY_SIZE), MAX_BODY_SIZE), (sized_message(input, MAX_MSG_SIZE), MAX_MSG_SIZE)]
    {
        match body {
            Ok(Body::Complete { content, consumed }) => {
                assert!(!content.is_empty() && content.len() <= limit);
                assert_eq!(content, &input[4..consumed]);
            }
            Ok(Body::Incomplete { needed, .. }) => assert!(needed > input.len() && needed <= 4 + limit),
            Err(error) => assert!(error.code().is_fatal() && input.len() >= 4),
        }
    }
}

/// An id that ends in `\r` would lose it, were it the last of a line. nsqd makes none.
fn is_from_a_client_that_keeps_to_ids(command: &Command) -> bool {
    match command {
        Command::Fin(id) | Command::Touch(id) | Command::Req { id, .. } => !id.0.contains(&b'\r'),
        _ => true,
    }
}

const MAX_LINE: usize = 16 * 1024;
const MAX_MSG_SIZE: usize = 200;
const MAX_BODY_SIZE: usize = 1000;
