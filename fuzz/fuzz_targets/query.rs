//! The parameters of an HTTP request.

#![no_main]

use gnsq_server::fuzzing::parameter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let escapes = text.as_bytes().iter().enumerate().filter(|(_, byte)| **byte == b'%');
    let are_whole = escapes.clone().all(|(at, _)| {
        text.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let answer = parameter(&text, "topic");
    assert_eq!(answer.is_ok(), are_whole && !text.contains(';'), "{text:?}: {answer:?}");

    // Whatever a name and a value are: escaped, they are read as they were.
    let (name, value) = text.split_once('=').unwrap_or((&text, ""));
    let query = format!("&x&{}={}&x=y", escaped(name), escaped(value));
    assert_eq!(parameter(&query, name), Ok(Some(if name == "x" { "" } else { value }.to_owned())), "{query}");
});

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}
