//! Requests to nsqd's HTTP API: method, path, query and body.

#![no_main]

use bytes::Bytes;
use gnsq_fuzz::{Cuts, small_limits};
use gnsq_server::fuzzing::{FuzzedNsqd, HttpAnswer, parameter};
use gnsq_server::{Clock, NsqdOptions, Stats};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    // A line with method and URI, and the body.
    let Some((cuts, data)) = Cuts::split(data) else { return };
    let Some(line) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (line, body) = (&data[..line], &data[line + 1..]);
    let Some(space) = line.iter().position(|byte| *byte == b' ') else { return };
    let (method, uri) = (&line[..space], &line[space + 1..]);
    // Other forms name the server too, or end in a fragment.
    let Some(uri) = str::from_utf8(uri).ok().filter(|uri| uri.starts_with('/') && !uri.contains('#')) else { return };
    let clock = Clock::manual();

    let Some(whole) = ask(method, uri, vec![Bytes::copy_from_slice(body)], &clock) else { return };
    let pieces = cuts.pieces(body).map(Bytes::copy_from_slice).collect();
    let cut = ask(method, uri, pieces, &clock).expect("a request");
    // A length over the limit is refused at once if it is announced, and before that the rest is judged.
    if whole.0.status != 413 {
        assert_eq!(whole, cut, "in pieces ({cuts:?})");
    }
    let (answer, stats) = whole;
    assert!([200, 301, 307, 400, 404, 405, 413, 503].contains(&answer.status), "{answer:?}");
    if answer.status >= 400 && method != b"HEAD" {
        let json: Value = serde_json::from_slice(&answer.body).expect("a refusal is JSON");
        assert!(json["message"].is_string(), "{json}");
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    match (method, path) {
        (b"POST", "/pub") => published(&answer, &stats, vec![body]),
        (b"POST", "/mpub") => {
            let binary = parameter(query, "binary").ok().flatten().is_some_and(|flag| flag != "false" && flag != "0");
            published(&answer, &stats, if binary { messages(body) } else { lines(body) });
        }
        _ => assert_eq!(kept(&stats), (0, 0)),
    }
});

/// The answer of a new nsqd, and what it holds then. What was set is told.
fn ask(method: &[u8], uri: &str, body: Vec<Bytes>, clock: &Clock) -> Option<(HttpAnswer, Stats)> {
    let nsqd = FuzzedNsqd::new(small_limits(clock));
    let answer = nsqd.request(method, uri.as_bytes(), body)?;
    if method == b"PUT" && answer.status == 200 && uri.starts_with("/config/") {
        assert_eq!(nsqd.request(b"GET", uri.as_bytes(), vec![]).as_ref(), Some(&answer));
    }
    Some((answer, nsqd.stats()))
}

/// All of a body's messages are there if it is answered so, and nothing otherwise.
fn published(answer: &HttpAnswer, stats: &Stats, messages: Vec<&[u8]>) {
    if answer.status != 200 {
        return assert_eq!(kept(stats), (0, 0), "{answer:?}");
    }
    assert_eq!(answer.body, "OK");
    let limits: NsqdOptions = small_limits(&Clock::manual());
    assert!(messages.iter().all(|message| (1..=limits.max_msg_size).contains(&message.len())));
    assert!(messages.len() <= limits.max_messages);
    let bytes = messages.iter().map(|message| message.len() as u64).sum();
    assert_eq!(kept(stats), (messages.len() as u64, bytes));
}

fn kept(stats: &Stats) -> (u64, u64) {
    stats.topics.iter().fold((0, 0), |sum, topic| (sum.0 + topic.depth, sum.1 + topic.message_bytes))
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

fn messages(body: &[u8]) -> Vec<&[u8]> {
    let number = |at: usize| body.get(at..at + 4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()) as usize);
    let (mut at, mut messages) = (4, Vec::new());
    for _ in 0..number(0).unwrap_or(0) {
        let Some(size) = number(at) else { break };
        let Some(message) = body.get(at + 4..at + 4 + size) else { break };
        messages.push(message);
        at += 4 + size;
    }
    messages
}
