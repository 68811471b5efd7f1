//! An envelope's rules, one by one, and with made-up input.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// An envelope of version 1 with these bytes as headers.
fn with_block(block: &[u8], body: &[u8]) -> Bytes {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&b"\xC1NSQ\x01"[..], &length, block, body].concat().into()
}

fn error(message: &Bytes) -> EnvelopeError {
    Envelope::decode(message).unwrap_err()
}

#[test]
fn the_format_is_what_the_document_shows() {
    let document = include_str!("../../../../docs/envelope.md");
    let shown: Vec<u8> = document
        .split("```hex\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap()
        .lines()
        .flat_map(|line| line.split("  ").next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let due = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400);
    let envelope = Envelope::new("hello").header("tenant", "acme").deliver_at(due);
    assert_eq!(envelope.encode().unwrap(), shown);
}

#[test]
fn a_body_without_an_envelope_is_itself() {
    for body in ["", "{}", "hello", "\u{c1}NSQ"] {
        let decoded = Envelope::decode(&body.into()).unwrap();
        assert_eq!((decoded.body.as_ref(), decoded.headers.len()), (body.as_bytes(), 0));
    }
    let almost = Bytes::from_static(b"\xC1NS");
    assert_eq!(Envelope::decode(&almost).unwrap().body, almost);
}

#[test]
fn an_envelope_protects_a_body_that_looks_like_one() {
    let body = Bytes::from_static(b"\xC1NSQ");
    assert_eq!(error(&body), EnvelopeError::Truncated);
    let wrapped = Envelope::new(body.clone()).encode().unwrap();
    assert_eq!(Envelope::decode(&wrapped).unwrap().body, body);
}

#[test]
fn one_that_was_cut_is_told_apart() {
    let message = Envelope::new("").header("a", "1").header("bc", "").encode().unwrap();
    for end in MAGIC.len()..message.len() {
        assert_eq!(error(&message.slice(..end)), EnvelopeError::Truncated, "{end}");
        if end >= PROLOGUE {
            // The same headers, cut, in an envelope that is whole.
            let block = &message[PROLOGUE..end];
            let decoded = Envelope::decode(&with_block(block, b"body"));
            let whole = [0, 5].contains(&block.len());
            assert_eq!(decoded.is_ok(), whole, "{block:?}");
        }
    }
}

#[test]
fn a_newer_version_is_refused_but_can_be_skipped() {
    let message = Bytes::from_static(b"\xC1NSQ\x02\x00\x03???body");
    assert_eq!(error(&message), EnvelopeError::Version(2));
    assert_eq!(Envelope::strip(&message).unwrap(), "body");
    assert_eq!(Envelope::strip(&"plain".into()).unwrap(), "plain");
}

#[test]
fn headers_are_replaced_and_come_in_their_order() {
    let message = Envelope::new("").header("b", "1").header("a", "2").header("b", "3").encode().unwrap();
    let headers = Envelope::decode(&message).unwrap().headers;
    assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
    assert_eq!(format!("{headers:?}"), r#"{"a": "2", "b": "3"}"#);
}

#[test]
fn what_can_be_no_header_is_refused_on_both_sides() {
    for key in ["", "A", "a b", "ä", &"a".repeat(65)] {
        let refused = Err(EnvelopeError::Key(key.to_owned()));
        assert_eq!(Envelope::new("").header(key, "").encode(), refused);
        let block = [&[u8::try_from(key.len()).unwrap()], key.as_bytes(), &[0, 0]].concat();
        assert_eq!(Envelope::decode(&with_block(&block, b"")).map(|_| Bytes::new()), refused);
    }
    assert!(Envelope::new("").header("a".repeat(64), "ä\n").encode().is_ok());
    assert!(matches!(error(&with_block(b"\x01\xff\x00\x00", b"")), EnvelopeError::Key(_)));
    assert!(matches!(error(&with_block(b"\x01a\x00\x01\xff", b"")), EnvelopeError::Value { .. }));
    assert_eq!(error(&with_block(b"\x01a\x00\x00\x01a\x00\x00", b"")), EnvelopeError::Repeated("a".to_owned()));
}

#[test]
fn headers_are_bounded_on_both_sides() {
    let many = |count| (0..count).fold(Envelope::new(""), |envelope, number| envelope.header(number.to_string(), ""));
    let most = many(64).encode().unwrap();
    assert_eq!(Envelope::decode(&most).unwrap().headers.len(), 64);
    assert_eq!(many(65).encode(), Err(EnvelopeError::TooMany(65)));
    let block = [&most[PROLOGUE..], b"\x01x\x00\x00"].concat();
    assert_eq!(error(&with_block(&block, b"")), EnvelopeError::TooMany(65));

    let large = |size: usize| Envelope::new("").header("a", "x".repeat(size - 4));
    let largest = large(32 * 1024).encode().unwrap();
    assert_eq!(Envelope::decode(&largest).unwrap().headers.len(), 1);
    for size in [32 * 1024 + 1, 65_536 + 4, 1 << 20] {
        assert_eq!(large(size).encode(), Err(EnvelopeError::TooLarge(size)));
    }
    assert_eq!(error(&with_block(&vec![0; 32 * 1024 + 1], b"")), EnvelopeError::TooLarge(32 * 1024 + 1));
}

#[test]
fn the_time_is_rounded_up_to_milliseconds() {
    let at = |nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    for (time, kept) in [(at(0), at(0)), (at(1), at(1_000_000)), (at(1_000_000), at(1_000_000))] {
        let message = Envelope::new("").deliver_at(time).encode().unwrap();
        assert_eq!(Envelope::decode(&message).unwrap().headers.deliver_at(), Some(kept));
    }
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    let message = Envelope::new("").deliver_at(before).encode().unwrap();
    assert_eq!(Envelope::decode(&message).unwrap().headers.deliver_at(), Some(at(0)));
}

#[test]
fn a_time_that_is_none_is_refused_on_both_sides() {
    for text in ["", "+1", "-1", "1.5", "soon", "18446744073709551616"] {
        assert!(matches!(Envelope::new("").header("deliver-at", text).encode(), Err(EnvelopeError::Value { .. })));
        let length = u8::try_from(text.len()).unwrap();
        let block = [b"\x0adeliver-at\x00", &[length][..], text.as_bytes()].concat();
        assert!(matches!(error(&with_block(&block, b"")), EnvelopeError::Value { .. }), "{text}");
    }
}

#[test]
fn a_trace_that_breaks_the_rules_is_not_written_and_no_reason_not_to_read() {
    let broken = Envelope::new("").header("traceparent", "00-1-2-3");
    assert!(matches!(broken.encode(), Err(EnvelopeError::Value { .. })));
    assert!(Envelope::new("").header("tracestate", "=").encode().is_err());
    let decoded = Envelope::decode(&with_block(b"\x0btraceparent\x00\x03abc", b"body")).unwrap();
    assert_eq!((decoded.headers.trace(), decoded.headers.get("traceparent")), (None, Some("abc")));
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_traceparent_is_taken_as_w3c_demands() {
    let good = |text: &str| TraceContext::parse(text, None).map(|trace| trace.to_string());
    let with = |at: usize, new: &str| {
        let mut text = PARENT.to_owned();
        text.replace_range(at..at + new.len(), new);
        text
    };
    assert_eq!(good(PARENT).as_deref(), Ok(PARENT));
    assert_eq!(good(&with(53, "00")), Ok(with(53, "00")));
    assert_eq!(good(&with(53, "ff")), Ok(with(53, "03")), "undefined flags are cleared");
    // A later version is read as far as it is known.
    assert_eq!(good(&with(0, "cc")).as_deref(), Ok(PARENT));
    assert_eq!(good(&(with(0, "cc") + "-what-the-future-is-like")).as_deref(), Ok(PARENT));
    for bad in [
        with(0, "ff"),
        with(0, "0A"),
        with(0, "0."),
        PARENT.to_owned() + "-",
        PARENT.to_owned() + "-00",
        with(0, "cc") + "x",
        with(3, &"0".repeat(32)),
        with(36, &"0".repeat(16)),
        with(3, "A"),
        with(3, "+"),
        with(36, "g"),
        with(53, "0A"),
        with(2, "_"),
        with(52, " "),
        format!(" {PARENT}"),
        "ä".repeat(30),
        String::new(),
    ] {
        assert_eq!(good(&bad), Err(TraceError::Traceparent), "{bad}");
    }
    for end in 0..PARENT.len() {
        assert!(good(&PARENT[..end]).is_err());
    }
}

#[test]
fn a_tracestate_is_taken_as_w3c_demands() {
    let good = |text: &str| TraceState::parse(text).map(|state| state.to_string());
    let long = "z".repeat(256);
    for (text, kept) in [
        ("", ""),
        ("foo=1", "foo=1"),
        ("foo=1 \t , \t bar=2,", "foo=1,bar=2"),
        (",,foo=1,,", "foo=1"),
        ("foo= 1", "foo= 1"),
        ("foo=1,bar=2,foo=3", "foo=1,bar=2"),
        ("a-z*/_0=!~", "a-z*/_0=!~"),
        ("0tenant@system=1", "0tenant@system=1"),
        (&format!("{long}=1"), &format!("{long}=1")),
        (&format!("a={long}"), &format!("a={long}")),
        (&format!("{}@{}=1", "t".repeat(241), "v".repeat(14)), &format!("{}@{}=1", "t".repeat(241), "v".repeat(14))),
    ] {
        assert_eq!(good(text).as_deref(), Ok(kept), "{text}");
    }
    let members = |count: usize| (0..count).map(|number| format!("k{number}=1")).collect::<Vec<_>>().join(",");
    assert!(good(&members(32)).is_ok());
    for bad in [
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "0foo=1",
        "foo.bar=1",
        "foo@=1",
        "@foo=1",
        "foo@0=1",
        "a@b@c=1",
        "foo@bar@=1",
        "foo=bar=baz",
        "foo=\u{7f}",
        "foo=ä",
        "foo=1\u{a0}",
        &format!("z{long}=1"),
        &format!("a=z{long}"),
        &format!("{}@v=1", "t".repeat(242)),
        &format!("t@{}=1", "v".repeat(15)),
        &members(33),
    ] {
        assert_eq!(good(bad), Err(TraceError::Tracestate), "{bad}");
    }
    let mut state = TraceState::parse(&members(32)).unwrap();
    state.set("new", "1").unwrap();
    assert_eq!((state.iter().count(), state.get("k31"), state.get("k30")), (32, None, Some("1")));
    assert_eq!(state.set("New", "1"), Err(TraceError::Tracestate));
}

#[test]
fn a_bad_tracestate_costs_no_trace() {
    let trace = TraceContext::parse(PARENT, Some("=")).unwrap();
    assert!(trace.state().is_empty());
    assert_eq!(trace.to_string(), PARENT);
}

#[test]
fn a_child_stays_in_its_trace() {
    let parent = TraceContext::parse(PARENT, Some("a=1")).unwrap();
    let child = parent.child();
    assert_eq!((child.trace_id(), child.is_sampled(), child.state()), (parent.trace_id(), true, parent.state()));
    assert_ne!(child.parent_id(), parent.parent_id());
    assert_eq!(TraceContext::new(0, 1, true), Err(TraceError::ZeroId));
    assert_eq!(TraceContext::new(1, 0, true), Err(TraceError::ZeroId));
    assert!(!TraceContext::root(false).is_sampled());
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        headers in prop::collection::btree_map("[a-z0-9._-]{1,64}", ".{0,20}", 0..20),
        due in prop::option::of(0..u64::MAX / 2_000_000),
        sampled in prop::option::of(any::<bool>()),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let reserved = [TRACEPARENT, TRACESTATE, DELIVER_AT];
        let mut envelope = Envelope::new(body.clone());
        for (key, value) in headers.iter().filter(|(key, _)| !reserved.contains(&key.as_str())) {
            envelope = envelope.header(key, value);
        }
        let mut expected = envelope.headers.clone();
        let due = due.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let trace = sampled.map(|sampled| {
            let mut state = TraceState::default();
            state.set("vendor", "value").unwrap();
            TraceContext::root(sampled).with_state(state)
        });
        if let Some(due) = due {
            envelope = envelope.deliver_at(due);
        }
        if let Some(trace) = &trace {
            envelope = envelope.trace(trace);
        }
        let message = envelope.encode().unwrap();
        let decoded = Envelope::decode(&message).unwrap();
        prop_assert_eq!(&decoded.body, &body);
        prop_assert_eq!(decoded.headers.deliver_at(), due);
        prop_assert_eq!(decoded.headers.trace(), trace);
        prop_assert_eq!(Envelope::strip(&message).unwrap(), body);
        expected.retain(|(key, value)| decoded.headers.get(key) != Some(value));
        prop_assert!(expected.is_empty());
    }

    #[test]
    fn garbage_is_an_error_or_a_body(
        magic in any::<bool>(),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..4, b'a'..=b'z'], 0..100),
    ) {
        let message: Bytes = if magic { [&b"\xC1NSQ\x01\x00"[..], &bytes].concat().into() } else { bytes.into() };
        if let Ok(decoded) = Envelope::decode(&message) {
            prop_assert_eq!(decoded.headers.iter().count(), decoded.headers.len());
            prop_assert!(message.ends_with(&decoded.body));
            // What was read can be written again.
            let mut envelope = Envelope::new(decoded.body.clone());
            for (key, value) in &decoded.headers {
                envelope = envelope.header(key, value);
            }
            if let Ok(again) = envelope.encode() {
                prop_assert_eq!(Envelope::decode(&again).unwrap(), decoded);
            }
        }
    }

    #[test]
    fn any_text_is_a_trace_or_an_error(parent in "[0-9a-f-]{50,60}|.{0,60}", state in "[a-c@=, \t]{0,20}|.{0,20}") {
        if let Ok(trace) = TraceContext::parse(&parent, Some(&state)) {
            let text = trace.state().to_string();
            prop_assert_eq!(TraceContext::parse(&trace.to_string(), Some(&text)), Ok(trace));
        }
    }
}
