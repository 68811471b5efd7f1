//! Frames out of bytes, and bytes out of commands.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use gnsq_proto::connection::Event;
use gnsq_proto::frame::{FrameDecoder, encode_message, encode_response};
use gnsq_proto::{ChannelName, Command, Connection, MessageId, Outgoing, TopicName};

fn main() {
    divan::main();
}

/// As many as share a read or a write.
const TOGETHER: u16 = 500;
const SIZES: [usize; 3] = [16, 200, 4096];

#[divan::bench(args = SIZES)]
fn decode_messages(bencher: Bencher<'_, '_>, size: usize) {
    let wire = messages(size);
    decode(bencher, &wire);
}

#[divan::bench]
fn decode_answers(bencher: Bencher<'_, '_>) {
    let mut wire = BytesMut::new();
    (0..TOGETHER).for_each(|_| encode_response(b"OK", &mut wire));
    decode(bencher, &wire);
}

/// What the state machine adds: deadlines, what is in flight, and the answers' bytes.
#[divan::bench(args = SIZES)]
fn receive_and_finish(bencher: Bencher<'_, '_>, size: usize) {
    let now = Instant::now();
    let mut connection = Connection::new(now);
    let (topic, channel) = (topic(), ChannelName::new("channel").expect("it is a name"));
    connection.subscribe(topic, channel, (), None).expect("it comes first");
    connection.input().extend_from_slice(b"\0\0\0\x06\0\0\0\0OK");
    let answer = connection.poll_event(now);
    assert!(matches!(answer, Ok(Some(Event::Answer(Some(()), _)))), "{answer:?}");
    let wire = messages(size);
    bencher.counter(ItemsCount::new(TOGETHER)).bench_local(|| {
        connection.input().extend_from_slice(&wire);
        connection.received(now);
        while let Some(event) = connection.poll_event(now).expect("these are messages") {
            let Event::Message { frame, .. } = event else { continue };
            connection.finish(frame.id).expect("a channel is subscribed");
        }
        sent(connection.output());
    });
}

#[divan::bench(args = SIZES)]
fn encode_pubs(bencher: Bencher<'_, '_>, size: usize) {
    encode(bencher, &Command::Pub { topic: topic(), body: body(size) }, TOGETHER.into(), 1);
}

#[divan::bench(args = SIZES)]
fn encode_mpubs(bencher: Bencher<'_, '_>, size: usize) {
    let count = usize::from(TOGETHER);
    encode(bencher, &Command::Mpub { topic: topic(), bodies: vec![body(size); count].into() }, 1, count);
}

#[divan::bench]
fn encode_fins(bencher: Bencher<'_, '_>) {
    encode(bencher, &Command::Fin(MessageId(*b"0123456789abcdef")), TOGETHER.into(), 1);
}

fn decode(bencher: Bencher<'_, '_>, wire: &BytesMut) {
    let decoder = FrameDecoder::new(16 * 1024 * 1024);
    let inputs = bencher.counter(ItemsCount::new(TOGETHER)).with_inputs(|| wire.clone());
    inputs.bench_local_refs(|input| {
        while let Some(frame) = decoder.decode(input).expect("these are frames") {
            black_box(frame);
        }
    });
}

fn encode(bencher: Bencher<'_, '_>, command: &Command, times: usize, messages: usize) {
    let mut output = Outgoing::new();
    bencher.counter(ItemsCount::new(times * messages)).bench_local(|| {
        for _ in 0..times {
            black_box(command).encode(&mut output);
        }
        sent(&mut output);
    });
}

fn sent(output: &mut Outgoing) {
    black_box(output.chunk());
    output.advance(output.remaining());
}

/// The frames of as many messages, with ids as nsqd gives them.
fn messages(size: usize) -> BytesMut {
    let mut wire = BytesMut::new();
    for count in 0..TOGETHER {
        let id = format!("0b57fc6041155{count:03x}");
        let id = MessageId(id.as_bytes().try_into().expect("it has 16 digits"));
        encode_message(1, 1, id, &body(size), &mut wire);
    }
    wire
}

fn topic() -> TopicName {
    TopicName::new("topic").expect("it is a name")
}

fn body(size: usize) -> Bytes {
    Bytes::from(vec![b'x'; size])
}
