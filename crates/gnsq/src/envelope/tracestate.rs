//! W3C's `tracestate`: what tracing systems add to a trace, each under a key of its own.

use std::fmt;

use super::trace::TraceError;

/// The list of a `tracestate`, the newest first.
///
/// ```
/// use gnsq::envelope::TraceState;
///
/// let mut state = TraceState::parse("congo=t61rcWkgMzE, rojo=00f067aa0ba902b7").unwrap();
/// assert_eq!(state.get("rojo"), Some("00f067aa0ba902b7"));
/// state.set("rojo", "1").unwrap();
/// assert_eq!(state.to_string(), "rojo=1,congo=t61rcWkgMzE");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceState {
    members: Vec<(String, String)>,
}

impl TraceState {
    /// Reads a `tracestate`. Of members with the same key only the first stays.
    ///
    /// # Errors
    ///
    /// [`TraceError::Tracestate`] when it breaks W3C's rules.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut state = Self::default();
        let members =
            text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
        for (number, member) in members.enumerate() {
            let (key, value) = member.split_once('=').ok_or(TraceError::Tracestate)?;
            if number == MAX_MEMBERS || !is_key(key) || !is_value(value) {
                return Err(TraceError::Tracestate);
            }
            if state.get(key).is_none() {
                state.members.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(state)
    }

    /// What the tracing system with this key has added.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.members.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }

    /// Adds or replaces a member, which becomes the first. Of more than 32 the last is left out.
    ///
    /// # Errors
    ///
    /// [`TraceError::Tracestate`] when the key or the value breaks W3C's rules.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), TraceError> {
        if !is_key(key) || !is_value(value) {
            return Err(TraceError::Tracestate);
        }
        self.members.retain(|(other, _)| other != key);
        self.members.insert(0, (key.to_owned(), value.to_owned()));
        self.members.truncate(MAX_MEMBERS);
        Ok(())
    }

    /// All members, as keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether nobody has added anything.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={value}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// `name`, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase();
    let letter_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let good = |part: &str, most| {
        let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
        part.len() <= most && part.bytes().all(good)
    };
    match key.split_once('@') {
        None => key.as_bytes().first().is_some_and(letter) && good(key, 256),
        Some((tenant, system)) => {
            tenant.as_bytes().first().is_some_and(letter_or_digit)
                && good(tenant, 241)
                && system.as_bytes().first().is_some_and(letter)
                && good(system, 14)
        }
    }
}

fn is_value(value: &str) -> bool {
    let good = |byte: u8| matches!(byte, b' '..=b'~' if byte != b',' && byte != b'=');
    (1..=256).contains(&value.len()) && value.bytes().all(good) && !value.ends_with(' ')
}

const MAX_MEMBERS: usize = 32;
