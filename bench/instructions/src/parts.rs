//! Functions of the protocol by themselves.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use gnsq_proto::frame::FrameDecoder;
use gnsq_proto::{
    Command, ConnectionId, Facts, Frame, MessageFrame, MessageId, Outgoing, RdyPlan, RdySettings, TopicName,
};

use crate::client::{BATCH, BODY};

/// As many as a read of 128 KiB brings.
const TOGETHER: usize = 500;

pub(crate) fn decode_messages(times: usize) {
    let id = MessageId(*b"0123456789abcdef");
    decode(times, &Frame::Message(MessageFrame { timestamp: 1, attempts: 1, id, body: body() }));
}

pub(crate) fn decode_answers(times: usize) {
    decode(times, &Frame::Response(Bytes::from_static(b"OK")));
}

fn decode(times: usize, frame: &Frame) {
    let decoder = FrameDecoder::new(16 * 1024 * 1024);
    let mut wire = BytesMut::new();
    (0..TOGETHER).for_each(|_| frame.encode(&mut wire));
    for _ in 0..times / TOGETHER {
        let mut input = wire.clone();
        while let Some(frame) = decoder.decode(black_box(&mut input)).expect("these are frames") {
            black_box(frame);
        }
    }
}

pub(crate) fn encode_pubs(times: usize) {
    encode(times, TOGETHER, &Command::Pub { topic: topic(), body: body() });
}

/// Counted by the message.
pub(crate) fn encode_mpubs(times: usize) {
    encode(times / BATCH, 1, &Command::Mpub { topic: topic(), bodies: vec![body(); BATCH].into() });
}

pub(crate) fn encode_fins(times: usize) {
    encode(times, TOGETHER, &Command::Fin(MessageId(*b"0123456789abcdef")));
}

fn encode(times: usize, together: usize, command: &Command) {
    let mut output = Outgoing::new();
    for _ in 0..times / together {
        for _ in 0..together {
            black_box(command).encode(&mut output);
        }
        output.advance(output.remaining());
    }
}

/// A plan over 100 connections, of which one after the other is hungry.
pub(crate) fn plan(times: usize) {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut now = Instant::now();
    let mut plan = RdyPlan::new(RdySettings::default(), 2500);
    let connections = 100;
    (0..connections).for_each(|id| plan.join(now, ConnectionId(id), 2500));
    for turn in (0..connections).cycle().take(times) {
        now += Duration::from_millis(100);
        for id in 0..connections {
            let hungry = id == turn;
            let in_flight = if hungry { plan.share(ConnectionId(id)).unwrap_or(0) } else { 1 };
            let facts =
                Facts { in_flight, most_in_flight: in_flight, most_at: Some(now), last_message: Some(now), hungry };
            plan.report(now, ConnectionId(id), facts);
        }
        black_box(plan.plan(now, &mut rng));
    }
}

fn topic() -> TopicName {
    TopicName::new("topic").expect("it is a name")
}

fn body() -> Bytes {
    Bytes::from(vec![b'x'; BODY])
}
