//! A whole connection of nsqd's TCP protocol: hello and any bytes, alone and beside another client.

#![no_main]

use std::time::Duration;

use bytes::BytesMut;
use gnsq_fuzz::{Cuts, small_limits};
use gnsq_proto::frame::{Frame, FrameDecoder};
use gnsq_server::fuzzing::{FuzzedConnection, FuzzedNsqd};
use gnsq_server::{ClientStats, Clock, Stats};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, data)) = Cuts::split(data) else { return };
    let Some((&mode, bytes)) = data.split_first() else { return };
    let hello: &[u8] = if mode & 1 == 0 { b"  V2" } else { b"" };
    let stream = [hello, bytes].concat();
    if mode & 2 == 0 {
        alone(&stream, &cuts);
    } else {
        beside_another(&stream, &cuts, usize::from(mode >> 2));
    }
});

/// However its bytes arrive, a client is answered the same and leaves the same behind.
fn alone(stream: &[u8], cuts: &Cuts) {
    let clock = Clock::manual();
    let whole = say(stream, &Cuts::NONE, false, &clock);
    assert_eq!(whole, say(stream, cuts, false, &clock), "in pieces ({cuts:?})");
    assert_eq!(whole, say(stream, cuts, true, &clock), "in pieces ({cuts:?}) that are looked at early");

    let mut answers = BytesMut::from(&whole.0[..]);
    let mut is_over = false;
    while let Some(frame) = FrameDecoder::new(64 * 1024).decode(&mut answers).expect("nsqd sends frames") {
        assert!(!is_over, "{frame:?} comes behind the end");
        match frame {
            Frame::Response(_) => {}
            Frame::Error(error) => is_over = error.is_fatal(),
            Frame::Message(message) => panic!("{message:?} was not taken"),
        }
    }
    assert!(answers.is_empty());
}

/// What is answered, what nsqd holds then, and what it keeps when the client has gone.
fn say(stream: &[u8], cuts: &Cuts, impatient: bool, clock: &Clock) -> (BytesMut, Stats, (usize, usize)) {
    let nsqd = FuzzedNsqd::new(small_limits(clock));
    let mut client = nsqd.connect();
    let mut answers = BytesMut::new();
    for piece in cuts.pieces(stream) {
        client.receive(piece, impatient, &mut answers);
    }
    client.end(&mut answers);
    let stats = nsqd.stats();
    drop(client);
    (answers, stats, nsqd.kept())
}

/// Messages flow, times pass and people meddle: nothing is lost, nobody waits in vain, and limits hold.
fn beside_another(stream: &[u8], cuts: &Cuts, seed: usize) {
    let clock = Clock::manual();
    let nsqd = FuzzedNsqd::new(small_limits(&clock));
    let mut peers = [Peer::new(&nsqd), Peer::new(&nsqd)];
    peers[1].receive(b"  V2SUB t c\nRDY 2\n");
    for (number, piece) in cuts.pieces(stream).enumerate() {
        if peers[0].is_gone {
            break;
        }
        peers[0].receive(piece);
        if let Some(path) = MEDDLING.get((number * 7 + seed) % 64) {
            nsqd.request(b"POST", path.as_bytes(), vec![]).expect("a request");
        }
        // What one does may be to the other's use.
        while peers.iter_mut().any(|peer| peer.take(&nsqd) || peer.answer_one(seed)) {}
        check(&nsqd);
        clock.advance(Duration::from_secs(piece.len() as u64));
        nsqd.look_at_the_time();
    }
    while peers.iter_mut().any(|peer| peer.take(&nsqd)) {}
    check(&nsqd);
    drop(peers);
    clock.advance(Duration::from_secs(3600));
    nsqd.look_at_the_time();
    let stats = nsqd.stats();
    let channels = stats.topics.iter().flat_map(|topic| &topic.channels);
    assert!(channels.clone().all(|channel| channel.in_flight_count == 0 && channel.deferred_count == 0));
    assert!(channels.clone().all(|channel| channel.client_count == 0 && !channel.channel_name.is_ephemeral()));
    check(&nsqd);
}

struct Peer {
    connection: FuzzedConnection,
    out: BytesMut,
    held: Vec<[u8; 16]>,
    is_gone: bool,
}

impl Peer {
    fn new(nsqd: &FuzzedNsqd) -> Self {
        Self { connection: nsqd.connect(), out: BytesMut::new(), held: Vec::new(), is_gone: false }
    }

    /// Whether there may be more to do.
    fn take(&mut self, nsqd: &FuzzedNsqd) -> bool {
        if self.is_gone {
            return false;
        }
        let looks = self.connection.take(&mut self.out, 4096);
        while let Some(frame) = FrameDecoder::new(64 * 1024).decode(&mut self.out).expect("nsqd sends frames") {
            if let Frame::Message(message) = frame {
                assert!(message.attempts > 0 && !message.body.is_empty());
                self.held.push(message.id.0);
            }
        }
        if self.connection.is_over() {
            // What is in its place now says nothing.
            self.connection = nsqd.connect();
            self.is_gone = true;
            return true;
        }
        looks
    }

    /// Answers to a message that it holds, if it can; some are left to their time limits.
    fn answer_one(&mut self, seed: usize) -> bool {
        if self.is_gone || !self.connection.is_between_commands() {
            return false;
        }
        let Some(id) = self.held.pop() else { return false };
        let id = str::from_utf8(&id).expect("hexadecimal digits");
        let line = match (usize::from(id.as_bytes()[15]) + seed) % 5 {
            0 => return true,
            1 => format!("REQ {id} {}\n", seed * 100 + 1),
            2 => format!("TOUCH {id}\n"),
            _ => format!("FIN {id}\n"),
        };
        self.receive(line.as_bytes());
        true
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.connection.receive(bytes, false, &mut self.out);
    }
}

fn check(nsqd: &FuzzedNsqd) {
    let (messages, bytes) = nsqd.kept();
    let limits = small_limits(&Clock::manual());
    let stats = nsqd.stats();
    assert!(messages <= limits.max_messages && bytes <= limits.max_bytes);
    assert!(stats.topics.len() <= limits.max_topics);
    let channels: Vec<_> = stats.topics.iter().flat_map(|topic| &topic.channels).collect();
    assert!(channels.len() <= limits.max_channels);
    let in_topics: u64 = stats.topics.iter().map(|topic| topic.depth).sum();
    let in_channels: u64 =
        channels.iter().map(|channel| channel.depth + channel.in_flight_count + channel.deferred_count).sum();
    assert!(messages as u64 <= in_topics + in_channels, "{messages} messages count, and fewer are there");
    assert_eq!(messages == 0, in_topics + in_channels == 0);
    for channel in channels {
        let clients = channel.clients.as_deref().unwrap_or_default();
        assert_eq!(channel.client_count, clients.len() as u64);
        assert!(clients.len() <= limits.max_channel_consumers);
        let held: u64 = clients.iter().map(|client| client.in_flight_count).sum();
        assert!(held <= channel.in_flight_count);
        if channel.depth > 0 && !channel.paused {
            let has_room = |client: &&ClientStats| client.in_flight_count < client.ready_count;
            assert_eq!(clients.iter().find(has_room), None, "it waits beside {} messages", channel.depth);
        }
    }
}

/// What people do meanwhile, now and then.
const MEDDLING: &[&str] = &[
    "/channel/pause?topic=t&channel=c",
    "/channel/unpause?topic=t&channel=c",
    "/channel/empty?topic=t&channel=c",
    "/channel/delete?topic=t&channel=c",
    "/topic/pause?topic=t",
    "/topic/unpause?topic=t",
    "/topic/empty?topic=t",
    "/topic/delete?topic=t",
    "/topic/create?topic=u",
    "/channel/create?topic=u&channel=c",
];
