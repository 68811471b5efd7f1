//! IDENTIFY: what a client asks for, and what it is granted.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gnsq_proto::{ErrorCode, IdentifyResponse};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::refusal::Refusal;
use crate::nsqd::options::NsqdOptions;
use crate::version::NSQ_VERSION;

/// What a client asks for. Absent and `null` is 0, false and empty, which asks for the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the fields are the protocol's")]
pub(super) struct Request {
    pub(super) client_id: String,
    pub(super) hostname: String,
    pub(super) user_agent: String,
    pub(super) feature_negotiation: bool,
    heartbeat_interval: i64,
    output_buffer_size: i64,
    output_buffer_timeout: i64,
    msg_timeout: i64,
    sample_rate: i32,
    tls_v1: bool,
    snappy: bool,
    deflate: bool,
    deflate_level: i64,
}

/// What a client can change with each IDENTIFY, and otherwise stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Nothing for none.
    pub(super) heartbeat_interval: Option<Duration>,
    /// In bytes. It is told to the client, and that is all: what is ready to be sent is sent.
    output_buffer_size: i64,
    output_buffer_timeout: Duration,
    pub(super) msg_timeout: Duration,
}

/// What a client is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the fields are the protocol's")]
pub(super) struct Granted {
    pub(super) settings: Settings,
    pub(super) sample_rate: u8,
    pub(super) tls: bool,
    pub(super) snappy: bool,
    pub(super) deflate: bool,
    pub(super) deflate_level: i32,
}

/// What can be had on this connection, besides what the options say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) tls: bool,
    pub(super) compression: bool,
    pub(super) auth_required: bool,
}

impl Settings {
    /// Those of a client that asks for nothing.
    pub(super) fn new(options: &NsqdOptions) -> Self {
        Self {
            heartbeat_interval: Some(options.client_timeout / 2),
            output_buffer_size: OUTPUT_BUFFER_SIZE,
            output_buffer_timeout: options.output_buffer_timeout,
            msg_timeout: options.msg_timeout,
        }
    }
}

impl Request {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let parse = |body| {
            // Text that is read as bytes may hold what JSON forbids in it; text that is passed over may not.
            let IgnoredAny = serde_json::from_slice(body)?;
            serde_json::from_slice::<Option<Self>>(body)
        };
        let request = parse(body)
            .map_err(|_: serde_json::Error| Refusal::new(ErrorCode::BadBody, "IDENTIFY failed to decode JSON body"))?;
        Ok(request.unwrap_or_default())
    }

    /// Holds what is asked for against what may be had, in nsqd's order.
    pub(super) fn grant(&self, now: &Settings, options: &NsqdOptions, offer: Offer) -> Result<Granted, Refusal> {
        let invalid =
            |what: &str, given: i64| Refusal::new(ErrorCode::BadBody, format!("IDENTIFY {what} ({given}) is invalid"));
        let heartbeat_interval = match self.heartbeat_interval {
            -1 => None,
            0 => now.heartbeat_interval,
            given => Some(
                millis_within(given, SHORTEST, options.max_heartbeat_interval)
                    .ok_or_else(|| invalid("heartbeat interval", given))?,
            ),
        };
        let mut output_buffer_timeout = match self.output_buffer_timeout {
            -1 => Duration::ZERO,
            0 => now.output_buffer_timeout,
            given => millis_within(given, options.min_output_buffer_timeout, options.max_output_buffer_timeout)
                .ok_or_else(|| invalid("output buffer timeout", given))?,
        };
        let output_buffer_size = match self.output_buffer_size {
            -1 => {
                output_buffer_timeout = Duration::ZERO;
                1
            }
            0 => now.output_buffer_size,
            given if given >= 64 && usize::try_from(given).is_ok_and(|size| size <= options.max_output_buffer_size) => {
                given
            }
            given => return Err(invalid("output buffer size", given)),
        };
        let sample_rate = u8::try_from(self.sample_rate)
            .ok()
            .filter(|rate| *rate < 100)
            .ok_or_else(|| invalid("sample rate", self.sample_rate.into()))?;
        let msg_timeout = match self.msg_timeout {
            0 => now.msg_timeout,
            given => {
                millis_within(given, SHORTEST, options.max_msg_timeout).ok_or_else(|| invalid("msg timeout", given))?
            }
        };
        let features = self.feature_negotiation;
        let deflate = features && self.deflate && options.deflate && offer.compression;
        let snappy = features && self.snappy && options.snappy && offer.compression;
        if deflate && snappy {
            let text = "cannot enable both deflate and snappy compression";
            return Err(Refusal::new(ErrorCode::IdentifyFailed, text));
        }
        let level = if deflate && self.deflate_level > 0 { self.deflate_level } else { DEFLATE_LEVEL };
        let max_level = i32::from(options.max_deflate_level);
        Ok(Granted {
            settings: Settings { heartbeat_interval, output_buffer_size, output_buffer_timeout, msg_timeout },
            sample_rate,
            tls: features && self.tls_v1 && offer.tls,
            snappy,
            deflate,
            deflate_level: i32::try_from(level).map_or(max_level, |level| level.min(max_level)),
        })
    }
}

impl Granted {
    /// The answer to a client that negotiates.
    pub(super) fn to_json(&self, options: &NsqdOptions, offer: Offer) -> Vec<u8> {
        let mut response = IdentifyResponse::default();
        response.max_rdy_count = options.max_rdy_count;
        NSQ_VERSION.clone_into(&mut response.version);
        response.max_msg_timeout = millis(options.max_msg_timeout);
        response.msg_timeout = millis(self.settings.msg_timeout);
        response.tls_v1 = self.tls;
        response.deflate = self.deflate;
        response.deflate_level = self.deflate_level;
        response.max_deflate_level = options.max_deflate_level.into();
        response.snappy = self.snappy;
        response.sample_rate = self.sample_rate.into();
        response.auth_required = offer.auth_required;
        response.output_buffer_size = self.settings.output_buffer_size;
        response.output_buffer_timeout = i64::try_from(millis(self.settings.output_buffer_timeout)).unwrap_or(i64::MAX);
        serde_json::to_vec(&response).expect("numbers, booleans and a string are always JSON")
    }
}

/// As nsqd's language reads JSON: names in any case, the last of several, no number that isn't whole, and text of any
/// bytes.
impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
                let mut request = Request::default();
                while let Some(name) = map.next_key_seed(Text)? {
                    match name.to_ascii_lowercase().as_str() {
                        "client_id" => set_text(&mut request.client_id, &mut map)?,
                        "hostname" => set_text(&mut request.hostname, &mut map)?,
                        "user_agent" => set_text(&mut request.user_agent, &mut map)?,
                        "feature_negotiation" => set(&mut request.feature_negotiation, &mut map)?,
                        "heartbeat_interval" => set(&mut request.heartbeat_interval, &mut map)?,
                        "output_buffer_size" => set(&mut request.output_buffer_size, &mut map)?,
                        "output_buffer_timeout" => set(&mut request.output_buffer_timeout, &mut map)?,
                        "msg_timeout" => set(&mut request.msg_timeout, &mut map)?,
                        "sample_rate" => set(&mut request.sample_rate, &mut map)?,
                        "tls_v1" => set(&mut request.tls_v1, &mut map)?,
                        "snappy" => set(&mut request.snappy, &mut map)?,
                        "deflate" => set(&mut request.deflate, &mut map)?,
                        "deflate_level" => set(&mut request.deflate_level, &mut map)?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(request)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A value; `null` leaves the one before.
fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(value: &mut T, map: &mut A) -> Result<(), A::Error> {
    if let Some(given) = map.next_value()? {
        *value = given;
    }
    Ok(())
}

fn set_text<'de, A: MapAccess<'de>>(value: &mut String, map: &mut A) -> Result<(), A::Error> {
    if let Some(given) = map.next_value_seed(NullOrText)? {
        *value = given.into_owned();
    }
    Ok(())
}

/// Text, of which what is no UTF-8 is replaced.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, text: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(text))
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(text).into_owned().into())
    }
}

struct NullOrText;

impl<'de> DeserializeSeed<'de> for NullOrText {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for NullOrText {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Text.deserialize(deserializer).map(Some)
    }
}

fn millis_within(given: i64, least: Duration, most: Duration) -> Option<Duration> {
    let given = Duration::from_millis(u64::try_from(given).ok()?);
    (least..=most).contains(&given).then_some(given)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Of a heartbeat interval and of a message timeout.
const SHORTEST: Duration = Duration::from_secs(1);
/// What nsqd gives to clients that ask for none, in bytes.
const OUTPUT_BUFFER_SIZE: i64 = 16 * 1024;
/// Of clients that ask for none.
const DEFLATE_LEVEL: i64 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer { tls: false, compression: true, auth_required: false };

    fn answer(body: &str) -> Result<String, String> {
        let options = NsqdOptions::default();
        let refused = |refusal| match refusal {
            Refusal::Error(code, text) => format!("{code} {}", String::from_utf8(text).unwrap()),
            Refusal::Silent => String::new(),
        };
        let request = Request::parse(body.as_bytes()).map_err(refused)?;
        let granted = request.grant(&Settings::new(&options), &options, OFFER).map_err(refused)?;
        Ok(String::from_utf8(granted.to_json(&options, OFFER)).unwrap())
    }

    #[test]
    fn the_answer_is_nsqds_to_the_byte() {
        assert_eq!(
            answer(r#"{"feature_negotiation":true,"deflate":true,"deflate_level":9,"sample_rate":5,"msg_timeout":1000,"output_buffer_size":-1}"#)
                .unwrap(),
            r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":1000,"tls_v1":false,"deflate":true,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":5,"auth_required":false,"output_buffer_size":1,"output_buffer_timeout":0}"#
        );
    }

    #[test]
    fn json_is_read_as_nsqd_reads_it() {
        let parse = |body: &[u8]| Request::parse(body).ok();
        let sampled = |sample_rate| Some(Request { sample_rate, ..Request::default() });
        assert_eq!(parse(b"null"), Some(Request::default()));
        assert_eq!(parse(br#" {"x":{"a":[1]},"topology_region":1} "#), Some(Request::default()));
        assert_eq!(parse(br#"{"SAMPLE_rate":5}"#), sampled(5));
        assert_eq!(parse(br#"{"sample_rate":5,"sample_rate":7,"sample_rate":null}"#), sampled(7));
        assert_eq!(parse(b"{\"client_id\":\"a\xff\"}").unwrap().client_id, "a\u{fffd}");
        assert_eq!(parse(br#"{"client_id":null,"hostname":"\u00e9"}"#).unwrap().hostname, "é");
        for wrong in [
            "",
            "[]",
            "1",
            "\"x\"",
            "{",
            "{}x",
            "{} {}",
            "{\"client_id\":\"a\nb\"}",
            r#"{"client_id":1}"#,
            r#"{"tls_v1":1}"#,
            r#"{"tls_v1":"true"}"#,
            r#"{"sample_rate":2147483648}"#,
            r#"{"sample_rate":5.0}"#,
            r#"{"msg_timeout":3e4}"#,
            r#"{"msg_timeout":"1000"}"#,
            r#"{"msg_timeout":9223372036854775808}"#,
            r#"{"msg_timeout":[]}"#,
            r#"{"msg_timeout":01}"#,
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_in_nsqds_order() {
        for (body, expected) in [
            (r#"{"heartbeat_interval":-5,"output_buffer_timeout":1}"#, "heartbeat interval (-5)"),
            (r#"{"heartbeat_interval":999}"#, "heartbeat interval (999)"),
            (r#"{"heartbeat_interval":60001}"#, "heartbeat interval (60001)"),
            (r#"{"output_buffer_size":1,"output_buffer_timeout":1}"#, "output buffer timeout (1)"),
            (r#"{"output_buffer_timeout":30001}"#, "output buffer timeout (30001)"),
            (r#"{"output_buffer_size":63,"sample_rate":100}"#, "output buffer size (63)"),
            (r#"{"output_buffer_size":65537}"#, "output buffer size (65537)"),
            (r#"{"sample_rate":100,"msg_timeout":1}"#, "sample rate (100)"),
            (r#"{"msg_timeout":-1}"#, "msg timeout (-1)"),
            (r#"{"msg_timeout":900001}"#, "msg timeout (900001)"),
        ] {
            assert_eq!(answer(body), Err(format!("E_BAD_BODY IDENTIFY {expected} is invalid")));
        }
        for body in [
            r#"{"heartbeat_interval":-1}"#,
            r#"{"heartbeat_interval":60000,"output_buffer_timeout":25,"output_buffer_size":65536}"#,
            r#"{"output_buffer_timeout":-1,"sample_rate":99,"msg_timeout":900000,"deflate_level":-3}"#,
            r#"{"snappy":true,"deflate":true}"#,
        ] {
            assert!(answer(body).is_ok(), "{body}");
        }
        assert_eq!(
            answer(r#"{"feature_negotiation":true,"snappy":true,"deflate":true}"#),
            Err("E_IDENTIFY_FAILED cannot enable both deflate and snappy compression".to_owned())
        );
    }
}
