//! Both ends of the dialogues.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use gnsq_proto::command::MAGIC_V2;
use gnsq_proto::connection::{ConnectionError, Event, Loss, StateError};
use gnsq_proto::frame::{HEARTBEAT, OK};
use gnsq_proto::{
    ChannelName, Command, Connection, ErrorCode, Frame, IdentifyRequest, MessageFrame, MessageId, ServerError,
    TopicName,
};

use crate::reader::CommandReader;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A connection, the time it is told, and what its peer has read so far.
#[derive(Debug)]
pub(crate) struct Dialogue {
    pub(crate) connection: Connection<u32>,
    pub(crate) now: Instant,
    /// Bytes on their way to the peer.
    wire: BytesMut,
}

impl Dialogue {
    /// Behind the hello, which the peer has read.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut dialogue = Self { connection: Connection::new(now), now, wire: BytesMut::new() };
        dialogue.transmit();
        assert_eq!(dialogue.wire.split().as_ref(), MAGIC_V2);
        dialogue
    }

    /// Behind an IDENTIFY that asked for what `request` says and was granted `reply`.
    pub(crate) fn identified(request: IdentifyRequest, reply: &str) -> Self {
        let mut dialogue = Self::new();
        dialogue.identify(request);
        dialogue.sent();
        assert_eq!(dialogue.response(reply), [answer(0, reply)]);
        dialogue
    }

    /// Behind an answered SUB, without IDENTIFY.
    pub(crate) fn subscribed() -> Self {
        let mut dialogue = Self::new();
        dialogue.subscribe();
        dialogue
    }

    pub(crate) fn identify(&mut self, request: IdentifyRequest) {
        self.connection.identify(request, 0, None).unwrap();
    }

    pub(crate) fn subscribe(&mut self) {
        self.connection.subscribe(topic(), channel(), 0, None).unwrap();
        assert_eq!(self.sent(), [Command::Sub { topic: topic(), channel: channel() }]);
        assert_eq!(self.response("OK"), [answer(0, "OK")]);
    }

    pub(crate) fn publish(&mut self, waiter: u32) {
        self.connection.publish(&publish(), waiter, None).unwrap();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Time passes, and the connection is told at the end.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Event<u32>> {
        self.pass(time);
        self.connection.handle_timeout(self.now).unwrap();
        self.events()
    }

    /// Moves what the connection wants to send onto the wire.
    pub(crate) fn transmit(&mut self) {
        let output = self.connection.output();
        self.wire.extend_from_slice(&output.copy_to_bytes(output.remaining()));
    }

    /// Everything that the peer has not read yet, as commands; it has to be whole.
    pub(crate) fn sent(&mut self) -> Vec<Command> {
        self.transmit();
        let mut commands = Vec::new();
        while let Some(command) = CommandReader::default().read(&mut self.wire).unwrap() {
            commands.push(command);
        }
        assert!(self.wire.is_empty(), "half a command: {:?}", self.wire);
        commands
    }

    /// The peer sends bytes; what happens, all of it.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Vec<Event<u32>> {
        self.arrive(bytes);
        self.events()
    }

    pub(crate) fn frame(&mut self, frame: &Frame) -> Vec<Event<u32>> {
        self.bytes(&wire([frame]))
    }

    pub(crate) fn response(&mut self, data: &str) -> Vec<Event<u32>> {
        self.frame(&response(data))
    }

    pub(crate) fn error(&mut self, data: &str) -> Vec<Event<u32>> {
        self.frame(&error(data))
    }

    /// The peer sends bytes that end the connection.
    pub(crate) fn fatal_bytes(&mut self, bytes: &[u8]) -> ConnectionError {
        self.arrive(bytes);
        let error = loop {
            match self.connection.poll_event(self.now) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the connection goes on"),
                Err(error) => break error,
            }
        };
        assert_eq!(self.connection.poll_event(self.now), Ok(None), "something followed the end");
        error
    }

    pub(crate) fn fatal(&mut self, frame: &Frame) -> ConnectionError {
        self.fatal_bytes(&wire([frame]))
    }

    /// Ends the connection: what became of those who waited.
    pub(crate) fn fail(&mut self) -> Vec<(u32, Loss)> {
        let losses = self.connection.fail();
        assert_eq!(self.connection.fail(), [], "a waiter was told twice");
        assert_eq!((self.connection.outstanding(), self.connection.in_flight()), (0, 0));
        losses
    }

    /// The call was refused, and nothing was written.
    pub(crate) fn refused<T: std::fmt::Debug, E: Into<StateError>>(
        &mut self,
        call: impl FnOnce(&mut Connection<u32>) -> Result<T, E>,
    ) {
        let (queued, outstanding) = (self.connection.output().queued(), self.connection.outstanding());
        call(&mut self.connection).map_err(Into::into).expect_err("the call was allowed");
        assert_eq!(self.connection.output().queued(), queued);
        assert_eq!(self.connection.outstanding(), outstanding);
    }

    fn arrive(&mut self, bytes: &[u8]) {
        self.connection.input().extend_from_slice(bytes);
        self.connection.received(self.now);
    }

    pub(crate) fn events(&mut self) -> Vec<Event<u32>> {
        let mut events = Vec::new();
        while let Some(event) = self.connection.poll_event(self.now).unwrap() {
            events.push(event);
        }
        events
    }
}

pub(crate) fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

pub(crate) fn answer(waiter: u32, data: &str) -> Event<u32> {
    Event::Answer(Some(waiter), Bytes::copy_from_slice(data.as_bytes()))
}

/// What an answer without a waiter gives.
pub(crate) fn late(data: &str) -> Event<u32> {
    Event::Answer(None, Bytes::copy_from_slice(data.as_bytes()))
}

pub(crate) fn response(data: &str) -> Frame {
    Frame::Response(Bytes::copy_from_slice(data.as_bytes()))
}

pub(crate) fn ok() -> Frame {
    Frame::Response(Bytes::from_static(OK))
}

pub(crate) fn heartbeat() -> Frame {
    Frame::Response(Bytes::from_static(HEARTBEAT))
}

pub(crate) fn error(data: &str) -> Frame {
    Frame::Error(ServerError::parse(data.as_bytes()))
}

pub(crate) fn server_error(code: ErrorCode) -> ServerError {
    ServerError::new(code, "why")
}

pub(crate) fn message(number: u8) -> MessageFrame {
    MessageFrame {
        timestamp: 1_700_000_000_000_000_000,
        attempts: 1,
        id: id(number),
        body: Bytes::from_static(b"body"),
    }
}

pub(crate) fn message_frame(number: u8) -> Frame {
    Frame::Message(message(number))
}

pub(crate) fn id(number: u8) -> MessageId {
    format!("{number:016x}").parse().unwrap()
}

pub(crate) fn wire<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> BytesMut {
    let mut bytes = BytesMut::new();
    for frame in frames {
        frame.encode(&mut bytes);
    }
    bytes
}

pub(crate) fn topic() -> TopicName {
    TopicName::new("orders").unwrap()
}

pub(crate) fn channel() -> ChannelName {
    ChannelName::new("billing").unwrap()
}

pub(crate) fn publish() -> Command {
    Command::Pub { topic: topic(), body: Bytes::from_static(b"17") }
}

/// Asks for a reply in JSON, and nothing else.
pub(crate) fn negotiating() -> IdentifyRequest {
    IdentifyRequest { feature_negotiation: true, ..IdentifyRequest::default() }
}
