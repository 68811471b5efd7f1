//! The stages in which a server reads a command, and what each refuses.

use std::fmt::Debug;

use gnsq_proto::ErrorCode;
use gnsq_proto::command::decode::{
    Body, BodyError, Line, LineTooLong, Missing, MpubScan, number, sized_body, sized_message,
};

const MAX_MSG_SIZE: usize = 30;
const MAX_BODY_SIZE: usize = 60;

fn words(line: &str) -> Vec<&[u8]> {
    let (line, consumed) = Line::parse(line.as_bytes()).unwrap().unwrap();
    assert!(consumed > line.word.len());
    std::iter::once(line.word).chain(line.params()).collect()
}

fn numbers(numbers: &[i32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// An MPUB of these numbers, filled up to the size that the first one gives.
fn mpub(given: &[i32]) -> Vec<u8> {
    let mut body = numbers(given);
    body.resize(4 + usize::try_from(given[0]).unwrap(), b'x');
    body
}

fn scan(input: &[u8]) -> Result<Body<Vec<&[u8]>>, BodyError> {
    let mut scan = MpubScan::default();
    let body = scan.advance(input, MAX_MSG_SIZE, MAX_BODY_SIZE)?;
    Ok(match body {
        Body::Complete { content, consumed } => Body::Complete { content: content.collect(), consumed },
        Body::Incomplete { needed, missing } => Body::Incomplete { needed, missing },
    })
}

fn incomplete<T>(needed: usize, missing: Missing) -> Body<T> {
    Body::Incomplete { needed, missing }
}

fn refused<T: PartialEq + Debug>(result: Result<Body<T>, BodyError>, code: &ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!((&error.code(), error.to_string().as_str()), (code, text));
}

#[test]
fn a_line_is_split_at_each_space() {
    assert_eq!(words("PUB t\n"), [&b"PUB"[..], b"t"]);
    assert_eq!(words("PUB  t \n"), [&b"PUB"[..], b"", b"t", b""]);
    assert_eq!(words("\n"), [b""]);
    assert_eq!(words(" NOP\n"), [&b""[..], b"NOP"]);
}

#[test]
fn one_carriage_return_before_the_line_end_is_taken_off() {
    assert_eq!(words("NOP\r\n"), [b"NOP"]);
    assert_eq!(words("NOP\r\r\n"), [b"NOP\r"]);
    assert_eq!(words("RDY 7\r\n"), [&b"RDY"[..], b"7"]);
}

#[test]
fn a_line_ends_at_its_first_line_end() {
    for len in 0..40 {
        // Neighbours in value, and bytes whose high bit is set, are no ends.
        for other in [b'x', 0, b'\n' - 1, b'\n' + 1, b'\n' | 0x80, 0xff] {
            let mut line = vec![other; len];
            assert_eq!(Line::parse(&line), Ok(None));
            line.extend_from_slice(b"\n\nx\n12345678\n");
            assert_eq!(Line::parse(&line).unwrap().unwrap().1, len + 1);
        }
    }
}

#[test]
fn a_line_may_have_16_kib_with_its_end() {
    let mut line = vec![b'x'; 16 * 1024];
    assert_eq!(Line::parse(&line[1..]), Ok(None));
    assert_eq!(Line::parse(&line), Err(LineTooLong));
    line.push(b'\n');
    assert_eq!(Line::parse(&line), Err(LineTooLong));
    let (longest, consumed) = Line::parse(&line[1..]).unwrap().unwrap();
    assert_eq!((longest.word.len(), consumed), (16 * 1024 - 1, 16 * 1024));
}

#[test]
fn a_number_is_digits_only_and_wraps() {
    for (digits, expected) in [
        ("", Some(0)),
        ("001", Some(1)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551617", Some(1)),
        ("99999999999999999999", Some(7_766_279_631_452_241_919)),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("0x1", None),
    ] {
        assert_eq!(number(digits.as_bytes()), expected, "{digits:?}");
    }
}

#[test]
fn a_size_is_refused_before_its_body_arrives() {
    for size in [i32::MIN, -1, 0] {
        let input = size.to_be_bytes();
        refused(sized_body(&input, MAX_BODY_SIZE), &ErrorCode::BadBody, &format!("invalid body size {size}"));
        refused(
            sized_message(&input, MAX_MSG_SIZE),
            &ErrorCode::BadMessage,
            &format!("invalid message body size {size}"),
        );
        refused(scan(&input), &ErrorCode::BadBody, &format!("invalid body size {size}"));
    }
    for size in [61, i32::MAX] {
        let input = size.to_be_bytes();
        refused(sized_body(&input, MAX_BODY_SIZE), &ErrorCode::BadBody, &format!("body too big {size} > 60"));
        refused(sized_message(&input, MAX_MSG_SIZE), &ErrorCode::BadMessage, &format!("message too big {size} > 30"));
        refused(scan(&input), &ErrorCode::BadBody, &format!("body too big {size} > 60"));
    }
}

#[test]
fn a_body_says_what_it_needs_and_is_not_copied() {
    let body = [&3_i32.to_be_bytes()[..], b"abcd"].concat();
    for cut in 0..4 {
        assert_eq!(sized_body(&body[..cut], MAX_BODY_SIZE), Ok(incomplete(4, Missing::BodySize)));
    }
    for cut in 4..7 {
        assert_eq!(sized_message(&body[..cut], MAX_MSG_SIZE), Ok(incomplete(7, Missing::Message)));
    }
    let Ok(Body::Complete { content, consumed }) = sized_message(&body, MAX_MSG_SIZE) else { panic!("incomplete") };
    assert_eq!((content, consumed), (&b"abc"[..], 7));
    assert!(body.as_ptr_range().contains(&content.as_ptr()));
}

#[test]
fn a_count_is_refused_as_soon_as_it_cannot_be() {
    // A body of 60 bytes has room for 11 messages of one byte.
    for count in [i32::MIN, -1, 0, 12, i32::MAX] {
        let input = numbers(&[14, count]);
        refused(scan(&input), &ErrorCode::BadBody, &format!("invalid message count {count}"));
    }
    assert_eq!(scan(&numbers(&[14, 11])), Ok(incomplete(12, Missing::InnerSize { index: 0 })));
}

#[test]
fn a_message_of_an_mpub_is_refused_by_its_number() {
    for size in [i32::MIN, -1, 0] {
        let text = format!("invalid message(0) body size {size}");
        refused(scan(&numbers(&[14, 1, size])), &ErrorCode::BadMessage, &text);
    }
    let second = [&numbers(&[14, 2, 1])[..], b"x", &[0; 4]].concat();
    refused(scan(&second), &ErrorCode::BadMessage, "invalid message(1) body size 0");
    refused(scan(&numbers(&[14, 1, 31])), &ErrorCode::BadMessage, "message too big 31 > 30");
}

#[test]
fn the_size_of_a_whole_mpub_is_not_believed() {
    for total in [1, 14, 60] {
        let mut input = numbers(&[total, 1, 6]);
        input.extend_from_slice(b"abcdefNOP\n");
        assert_eq!(scan(&input), Ok(Body::Complete { content: vec![&b"abcdef"[..]], consumed: 18 }));
    }
}

#[test]
fn an_mpub_that_is_longer_than_a_body_may_be_is_refused_before_it_arrives() {
    let mut input = mpub(&[60, 3, 26]);
    input.truncate(12 + 26);
    input.extend_from_slice(&numbers(&[22]));
    assert_eq!(scan(&input), Ok(incomplete(4 + 60, Missing::Message)));
    let end = input.len();
    input[end - 1] += 1;
    refused(scan(&input), &ErrorCode::BadBody, "body too big 61 > 60");
}

#[test]
fn a_scan_gives_the_same_however_the_input_is_cut() {
    let input = [&numbers(&[23, 3, 2])[..], b"aa", &numbers(&[1]), b"b", &numbers(&[4]), b"cccc", b"behind"].concat();
    for cut in 0..input.len() {
        let mut scan = MpubScan::default();
        let first = scan.advance(&input[..cut], MAX_MSG_SIZE, MAX_BODY_SIZE).unwrap();
        if let Body::Incomplete { needed, .. } = first {
            assert!(needed > cut, "{cut} bytes are there, and {needed} are said to be needed");
            let Ok(Body::Complete { content, consumed }) = scan.advance(&input, MAX_MSG_SIZE, MAX_BODY_SIZE) else {
                panic!("incomplete")
            };
            assert_eq!(content.collect::<Vec<_>>(), [&b"aa"[..], b"b", b"cccc"]);
            assert_eq!(consumed, input.len() - "behind".len());
        } else {
            assert!(cut >= input.len() - "behind".len());
        }
    }
}

#[test]
fn what_is_missing_is_named_as_nsqd_names_it() {
    let mpub = [&numbers(&[23, 2, 2])[..], b"aa", &numbers(&[1])].concat();
    for (cut, text) in [
        (3, "failed to read body size"),
        (7, "failed to read message count"),
        (11, "failed to read message(0) body size"),
        (13, "failed to read message body"),
        (17, "failed to read message(1) body size"),
        (18, "failed to read message body"),
    ] {
        let Ok(Body::Incomplete { missing, .. }) = scan(&mpub[..cut]) else { panic!("complete") };
        assert_eq!(missing.to_string(), text);
    }
}
