//! IDENTIFY: what a client tells of itself and asks for, and what nsqd grants.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The JSON body of IDENTIFY. What is `None` is left out, and nsqd uses its default.
///
/// nsqd reads the numbers strictly: whole, and within the range given, else the connection ends with `E_BAD_BODY`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "the fields are the protocol's")]
pub struct IdentifyRequest {
    /// Names the client in nsqd's statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The host the client runs on, for nsqd's statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Names the library and its version, for nsqd's statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether nsqd answers with an [`IdentifyResponse`] (true) or a plain `OK`.
    pub feature_negotiation: bool,
    /// Milliseconds between heartbeats: 1000 to nsqd's `--max-heartbeat-interval`, or -1 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval: Option<i64>,
    /// The bytes that nsqd gathers before it writes messages: 64 to nsqd's `--max-output-buffer-size`, or -1 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_buffer_size: Option<i64>,
    /// The milliseconds that nsqd holds messages back at the most, or -1 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_buffer_timeout: Option<i64>,
    /// Milliseconds until nsqd gives an unanswered message to another client: 1000 to nsqd's `--max-msg-timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg_timeout: Option<i64>,
    /// The percentage of messages to send, 1 to 99; the rest is dropped by nsqd for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<i32>,
    /// Asks for TLS.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_v1: bool,
    /// Asks for snappy compression. Not together with `deflate`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub snappy: bool,
    /// Asks for deflate compression.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deflate: bool,
    /// How hard deflate tries, 1 to 9; nsqd lowers it to its `--max-deflate-level`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deflate_level: Option<i32>,
    /// Where the client runs; read by servers newer than 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_region: Option<String>,
    /// Where in the region the client runs; read by servers newer than 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_zone: Option<String>,
}

impl IdentifyRequest {
    /// The body of the command.
    #[allow(clippy::missing_panics_doc, reason = "strings, numbers and booleans are always JSON")]
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("strings, numbers and booleans are always JSON").into()
    }
}

/// nsqd's answer to IDENTIFY: what it grants, and its limits. Fields of other versions are ignored or 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "the fields are the protocol's")]
#[non_exhaustive]
pub struct IdentifyResponse {
    /// The largest RDY that this nsqd takes.
    pub max_rdy_count: u32,
    /// nsqd's version.
    pub version: String,
    /// How long a message can be held with touches, in milliseconds from its delivery.
    pub max_msg_timeout: u64,
    /// How long this client may hold a message, in milliseconds.
    pub msg_timeout: u64,
    /// Whether the connection goes on with TLS.
    pub tls_v1: bool,
    /// Whether it goes on with deflate.
    pub deflate: bool,
    /// deflate's level.
    pub deflate_level: i32,
    /// The highest level that this nsqd allows.
    pub max_deflate_level: i32,
    /// Whether it goes on with snappy.
    pub snappy: bool,
    /// The percentage of messages that this client gets; 0 for all.
    pub sample_rate: i32,
    /// Whether AUTH has to come next.
    pub auth_required: bool,
    /// The bytes that nsqd gathers before it writes messages.
    pub output_buffer_size: i64,
    /// The milliseconds that nsqd holds messages back at the most.
    pub output_buffer_timeout: i64,
    /// The server's region; of servers newer than 1.3.0.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_region: String,
    /// The server's zone; of servers newer than 1.3.0.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_zone: String,
}

/// Something that nsqd grants otherwise than it was asked for. It refuses most values that it doesn't like; these it
/// changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The option's name.
    pub option: &'static str,
    /// What was asked for.
    pub asked: String,
    /// What was granted.
    pub granted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: asked for {}, granted {}", self.option, self.asked, self.granted)
    }
}

impl IdentifyResponse {
    /// What was granted otherwise than asked for: nsqd 1.3.0 lowers deflate's level to its `--max-deflate-level`, and
    /// declines a compression that it was told not to use.
    ///
    /// What the response doesn't tell, as old servers don't, is no difference. TLS isn't compared: a connection on which
    /// it is declined doesn't go on.
    pub fn differences(&self, asked: &IdentifyRequest) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut compare = |option, asked: String, granted: String| {
            if asked != granted {
                differences.push(Difference { option, asked, granted });
            }
        };
        let on_or_off = |on| if on { "on" } else { "off" }.to_owned();
        let millis = |millis| format!("{:?}", Duration::from_millis(millis));
        if asked.snappy {
            compare("snappy", on_or_off(true), on_or_off(self.snappy));
        }
        if asked.deflate && !self.deflate {
            compare("deflate", asked.deflate_level.map_or_else(|| on_or_off(true), level), on_or_off(false));
        } else if let (true, Some(wanted)) = (asked.deflate, asked.deflate_level) {
            compare("deflate", level(wanted), level(self.deflate_level));
        }
        if let Some(timeout) = asked.msg_timeout.and_then(|timeout| u64::try_from(timeout).ok())
            && self.msg_timeout > 0
        {
            compare("msg_timeout", millis(timeout), millis(self.msg_timeout));
        }
        if let Some(rate) = asked.sample_rate {
            compare("sample_rate", format!("{rate} %"), format!("{} %", self.sample_rate));
        }
        // A buffer that was turned off has a size of 1, or 0.
        if let Some(size) = asked.output_buffer_size
            && (size > 0 || self.output_buffer_size > 1)
        {
            compare("output_buffer_size", bytes(size), bytes(self.output_buffer_size));
        }
        if let Some(timeout) = asked.output_buffer_timeout {
            let millis = |value: i64| millis(u64::try_from(value).unwrap_or(0));
            compare("output_buffer_timeout", millis(timeout), millis(self.output_buffer_timeout));
        }
        differences
    }
}

fn level(level: i32) -> String {
    format!("level {level}")
}

fn bytes(bytes: i64) -> String {
    format!("{} bytes", bytes.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_holds_only_what_was_asked_for() {
        let request = IdentifyRequest { feature_negotiation: true, snappy: true, ..Default::default() };
        assert_eq!(request.to_json(), r#"{"feature_negotiation":true,"snappy":true}"#);
    }

    #[test]
    fn reads_the_reply_of_nsqd_1_3_0() {
        let reply = r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,
            "tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,
            "auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250}"#;
        let reply: IdentifyResponse = serde_json::from_str(reply).unwrap();
        assert_eq!((reply.max_rdy_count, reply.version.as_str(), reply.msg_timeout), (2500, "1.3.0", 60_000));
    }

    #[test]
    fn what_was_granted_otherwise_is_told() {
        let asked = IdentifyRequest {
            deflate: true,
            deflate_level: Some(9),
            msg_timeout: Some(300_000),
            output_buffer_size: Some(4096),
            output_buffer_timeout: Some(100),
            sample_rate: Some(10),
            ..Default::default()
        };
        let mut granted = IdentifyResponse {
            deflate: true,
            deflate_level: 9,
            msg_timeout: 300_000,
            output_buffer_size: 4096,
            output_buffer_timeout: 100,
            sample_rate: 10,
            ..Default::default()
        };
        assert_eq!(granted.differences(&asked), []);
        granted.deflate_level = 6;
        granted.msg_timeout = 60_000;
        granted.output_buffer_size = 16384;
        granted.output_buffer_timeout = 250;
        granted.sample_rate = 0;
        let told: Vec<_> = granted.differences(&asked).iter().map(ToString::to_string).collect();
        let expected = [
            "deflate: asked for level 9, granted level 6",
            "msg_timeout: asked for 300s, granted 60s",
            "sample_rate: asked for 10 %, granted 0 %",
            "output_buffer_size: asked for 4096 bytes, granted 16384 bytes",
            "output_buffer_timeout: asked for 100ms, granted 250ms",
        ];
        assert_eq!(told, expected);
        granted.deflate = false;
        assert_eq!(granted.differences(&asked)[0].granted, "off");
    }

    #[test]
    fn what_was_turned_off_or_not_asked_for_is_no_difference() {
        let off = IdentifyRequest {
            output_buffer_size: Some(-1),
            output_buffer_timeout: Some(-1),
            heartbeat_interval: Some(-1),
            ..Default::default()
        };
        let granted = IdentifyResponse { output_buffer_size: 1, msg_timeout: 60_000, ..Default::default() };
        assert_eq!(granted.differences(&off), []);
        assert_eq!(granted.differences(&IdentifyRequest::default()), []);
    }

    #[test]
    fn fields_of_other_versions_do_no_harm() {
        let reply: IdentifyResponse = serde_json::from_str(r#"{"version":"9","tomorrow":[1]}"#).unwrap();
        assert_eq!((reply.version.as_str(), reply.max_rdy_count), ("9", 0));
    }
}
