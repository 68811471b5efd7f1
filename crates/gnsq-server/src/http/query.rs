//! The parameters of a request, read as Go reads them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::HttpError;

/// What follows the `?`: an extractor that refuses a malformed query as `INVALID_REQUEST`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// The value of `name`, the first if it is given more than once; empty for a name without one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A switch: off for `false` and `0`, on for anything else that is given.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| !matches!(value, "false" | "0"))
    }

    /// Nothing if it is malformed: half an escape, or a semicolon.
    pub(crate) fn parse(query: &str) -> Option<Self> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(key)?, unescape(value)?))
        });
        if query.contains(';') { None } else { pairs.collect::<Option<_>>().map(Self) }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HttpError> {
        Self::parse(parts.uri.query().unwrap_or_default()).ok_or(HttpError::bad_request("INVALID_REQUEST"))
    }
}

/// Bytes that are no UTF-8 become U+FFFD, which no valid value has.
fn unescape(text: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_first_chunk()?;
                rest = after;
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                u8::try_from(high? << 4 | low?).ok()?
            }
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_told_from_an_empty_one() {
        let query = Query::parse("a=1&b=&c&&a=2").unwrap();
        assert_eq!(["a", "b", "c", "d"].map(|name| query.get(name)), [Some("1"), Some(""), Some(""), None]);
    }

    #[test]
    fn only_two_words_switch_off() {
        let query = Query::parse("a=true&b=1&c=false&d=0&e=&f=FALSE").unwrap();
        let on = ["a", "b", "c", "d", "e", "f", "g"].map(|name| query.flag(name));
        assert_eq!(on, [Some(true), Some(true), Some(false), Some(false), Some(true), Some(true), None]);
    }

    #[test]
    fn escapes_are_undone_in_keys_and_values() {
        let query = Query::parse("t%6Fpic=a%23ephemeral&x=a+b%2Bc&bad=%ff").unwrap();
        assert_eq!(
            ["topic", "x", "bad"].map(|name| query.get(name)),
            [Some("a#ephemeral"), Some("a b+c"), Some("\u{fffd}")]
        );
    }

    #[test]
    fn a_malformed_query_is_refused() {
        for query in ["a=%", "a=%1", "a=%zz", "%g=1", "a=1;b=2", "a=1&b=%"] {
            assert_eq!(Query::parse(query), None, "{query}");
        }
    }
}
