//! What an nsqd says of itself when it registers.

use serde::Serialize;
use serde_json::Value;

/// An nsqd, as it has introduced itself to an nsqlookupd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Producer {
    /// Where its connection comes from.
    pub remote_address: String,
    /// Its host's name.
    pub hostname: String,
    /// The host that clients are told to connect to.
    pub broadcast_address: String,
    /// The port of its TCP protocol, whatever number it gives.
    pub tcp_port: i64,
    /// The port of its HTTP API, whatever number it gives.
    pub http_port: i64,
    /// Its version.
    pub version: String,
}

impl Producer {
    /// Reads the body of an IDENTIFY, or says what is wrong with it.
    pub(super) fn parse(remote_address: &str, body: &[u8]) -> Result<Self, &'static str> {
        // As Go reads JSON: bytes that are no UTF-8 are replaced, and the case of keys doesn't matter.
        let Ok(value) = serde_json::from_str(&String::from_utf8_lossy(body)) else { return Err(NOT_DECODED) };
        let mut this = Self {
            remote_address: remote_address.to_owned(),
            hostname: String::new(),
            broadcast_address: String::new(),
            tcp_port: 0,
            http_port: 0,
            version: String::new(),
        };
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => return Err(MISSING),
            _ => return Err(NOT_DECODED),
        };
        for (key, value) in fields {
            if value.is_null() {
                continue;
            }
            match key.to_ascii_lowercase().as_str() {
                "hostname" => this.hostname = text(value)?,
                "broadcast_address" => this.broadcast_address = text(value)?,
                "version" => this.version = text(value)?,
                "tcp_port" => this.tcp_port = value.as_i64().ok_or(NOT_DECODED)?,
                "http_port" => this.http_port = value.as_i64().ok_or(NOT_DECODED)?,
                _ => {}
            }
        }
        let complete =
            !this.broadcast_address.is_empty() && this.tcp_port != 0 && this.http_port != 0 && !this.version.is_empty();
        if complete { Ok(this) } else { Err(MISSING) }
    }

    /// How nsqadmin names it for a tombstone.
    pub(super) fn node(&self) -> String {
        format!("{}:{}", self.broadcast_address, self.http_port)
    }
}

fn text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(NOT_DECODED),
    }
}

const NOT_DECODED: &str = "IDENTIFY failed to decode JSON body";
const MISSING: &str = "IDENTIFY missing fields";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Producer, &'static str> {
        Producer::parse("127.0.0.1:1", body.as_bytes())
    }

    #[test]
    fn an_nsqd_may_lack_nothing_but_its_hostname() {
        let producer =
            parse(r#"{"broadcast_address":"a","tcp_port":1,"http_port":-2,"version":"v","more":[]}"#).unwrap();
        assert_eq!((producer.tcp_port, producer.http_port, producer.hostname.as_str()), (1, -2, ""));
        assert_eq!(producer.node(), "a:-2");
        parse(r#"{"BROADCAST_ADDRESS":"a","Tcp_Port":65536,"http_port":2,"version":"v","hostname":null}"#).unwrap();
        for body in [
            r#"{"tcp_port":1,"http_port":2,"version":"v"}"#,
            r#"{"broadcast_address":"a","http_port":2,"version":"v"}"#,
            r#"{"broadcast_address":"a","tcp_port":1,"version":"v"}"#,
            r#"{"broadcast_address":"a","tcp_port":1,"http_port":2}"#,
            r#"{"broadcast_address":"a","tcp_port":1,"http_port":2,"version":""}"#,
            "{}",
            "null",
        ] {
            assert_eq!(parse(body), Err(MISSING), "{body}");
        }
    }

    #[test]
    fn what_go_would_not_decode_is_refused() {
        for body in [
            "",
            "{",
            "[]",
            "1",
            r#"{"tcp_port":"1"}"#,
            r#"{"tcp_port":1.5}"#,
            r#"{"tcp_port":1e3}"#,
            r#"{"tcp_port":99999999999999999999}"#,
            r#"{"version":1}"#,
            r#"{"broadcast_address":"a","tcp_port":1,"http_port":2,"version":"v"} x"#,
        ] {
            assert_eq!(parse(body), Err(NOT_DECODED), "{body}");
        }
    }
}
