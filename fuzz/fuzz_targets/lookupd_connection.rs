//! A whole connection of nsqlookupd's TCP protocol: hello and any bytes, beside an nsqd that keeps to the rules.

#![no_main]

use bytes::BytesMut;
use gnsq_fuzz::Cuts;
use gnsq_proto::lookupd::LookupdReply;
use gnsq_server::Clock;
use gnsq_server::fuzzing::FuzzedNsqlookupd;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, data)) = Cuts::split(data) else { return };
    let Some((&mode, bytes)) = data.split_first() else { return };
    let hello: &[u8] = if mode & 1 == 0 { b"  V1" } else { b"" };
    let stream = [hello, bytes].concat();
    let clock = Clock::manual();
    let whole = say(&stream, &Cuts::NONE, &clock);
    assert_eq!(whole, say(&stream, &cuts, &clock), "in pieces ({cuts:?})");
});

/// What is answered, and all that the HTTP API tells before and after the connection ends.
fn say(stream: &[u8], cuts: &Cuts, clock: &Clock) -> (BytesMut, Vec<String>, Vec<String>) {
    let lookupd = FuzzedNsqlookupd::new(clock, MAX_REGISTRATIONS, MAX_BODY);
    let mut good = lookupd.connect();
    assert!(good.answer(&mut BytesMut::from(GOOD), &mut BytesMut::new()));

    let mut stranger = lookupd.connect();
    let (mut input, mut answers) = (BytesMut::new(), BytesMut::new());
    let mut goes_on = true;
    for piece in cuts.pieces(stream) {
        input.extend_from_slice(piece);
        goes_on = stranger.answer(&mut input, &mut answers);
        if !goes_on {
            break;
        }
        assert!(input.len() < 16 * 1024 + 4 + MAX_BODY);
    }
    let last = replies(&answers).pop();
    assert_eq!(!goes_on, matches!(last, Some(LookupdReply::Error(_))), "{last:?}");

    let during = ask(&lookupd);
    drop(stranger);
    let after = ask(&lookupd);
    // What the other one has registered stays, and a ping is answered still.
    assert!(after[0].contains("\"good\"") && after[0].contains("127.0.0.2"), "{after:?}");
    assert!(good.answer(&mut BytesMut::from("PING\n"), &mut BytesMut::new()));
    drop(good);
    assert_eq!(ask(&lookupd)[0], r#"{"producers":[]}"#);
    (answers, during, after)
}

fn replies(answers: &[u8]) -> Vec<LookupdReply> {
    let mut input = BytesMut::from(answers);
    let mut replies = Vec::new();
    while let Some(reply) = LookupdReply::decode(&mut input, usize::MAX).expect("answers can be read") {
        replies.push(reply);
    }
    assert!(input.is_empty());
    replies
}

fn ask(lookupd: &FuzzedNsqlookupd) -> Vec<String> {
    let paths = ["/nodes", "/debug", "/topics", "/lookup?topic=t", "/channels?topic=t"];
    let answers = paths.map(|path| {
        let answer = lookupd.request(b"GET", path.as_bytes(), vec![]).expect("a request");
        assert!(answer.status == 200 || path == "/lookup?topic=t" && answer.status == 404, "{answer:?}");
        String::from_utf8(answer.body.into()).expect("JSON")
    });
    answers.into()
}

const GOOD: &str = "  V1IDENTIFY\n\0\0\0\x4e\
    {\"broadcast_address\":\"127.0.0.2\",\"tcp_port\":1,\"http_port\":2,\"version\":\"1.3.0\"}\
    REGISTER good\n";

/// Few, so that the limit is met.
const MAX_REGISTRATIONS: usize = 12;
const MAX_BODY: usize = 200;
