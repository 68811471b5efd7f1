//! Writing to stdout and stderr.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Tells people what is wrong. Nobody is left to tell if that fails.
pub(crate) fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "gnsq: {message}");
}

/// Whether people watch stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether people watch stdout.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether the user has nothing against colours at a terminal (<https://no-color.org>).
pub(crate) fn may_colour() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stdout may have colours.
pub(crate) fn colours_stdout() -> bool {
    stdout_is_terminal() && may_colour()
}

/// Writes `text` to stdout at once.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// Writes one line of JSON to stdout at once.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    print(line)
}

/// What a failed write to stdout means: a reader who has left had enough.
pub(crate) fn write_failed(error: &io::Error) -> Result<Exit, Failure> {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(Exit::Done);
    }
    Err(Failure::failed(format!("can't write to stdout: {error}")))
}

/// Makes text from the network harmless to a terminal: control characters other than tab and newline, which could
/// steer it, and bytes that aren't UTF-8, are shown as `\x1b`.
pub(crate) fn harmless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() && !matches!(character, '\t' | '\n') {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    push_escaped(&mut text, byte);
                }
            } else {
                text.push(character);
            }
        }
        for &byte in chunk.invalid() {
            push_escaped(&mut text, byte);
        }
    }
    text
}

fn push_escaped(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push_str("\\x");
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(DIGITS[usize::from(digit)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_that_steers_it() {
        assert_eq!(harmless("plain ü\ttext\n".as_bytes()), "plain ü\ttext\n");
        assert_eq!(harmless(b"\x1b[2J\r\x07\x7f"), "\\x1b[2J\\x0d\\x07\\x7f");
        assert_eq!(harmless(b"a\xff\xc3b"), "a\\xff\\xc3b");
        assert_eq!(harmless("\u{9b}1m".as_bytes()), "\\xc2\\x9b1m");
    }
}
