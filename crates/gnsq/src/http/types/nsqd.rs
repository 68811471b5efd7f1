//! What an nsqd tells of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::encoding::{nanoseconds, port};

/// What [`NsqdHttpClient::info`](crate::http::NsqdHttpClient::info) tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NsqdInfo {
    /// nsqd's version, such as `1.3.0`.
    pub version: String,
    /// The host under which nsqd is announced to nsqlookupd.
    pub broadcast_address: String,
    /// The name of the machine.
    pub hostname: String,
    /// The port of the HTTP API; `None` on a Unix socket.
    #[serde(with = "port")]
    pub http_port: Option<u16>,
    /// The port of the TCP protocol; `None` on a Unix socket.
    #[serde(with = "port")]
    pub tcp_port: Option<u16>,
    /// When nsqd started, in seconds since 1970.
    pub start_time: i64,
    /// The longest heartbeat interval that a client may ask for.
    #[serde(with = "nanoseconds")]
    pub max_heartbeat_interval: Duration,
    /// The largest output buffer that a client may ask for, in bytes.
    pub max_output_buffer_size: i64,
    /// The longest time that a client may let messages wait in the output buffer.
    #[serde(with = "nanoseconds")]
    pub max_output_buffer_timeout: Duration,
    /// The highest deflate level that a client may ask for.
    pub max_deflate_level: i64,
    /// Where nsqd runs, from servers after 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_region: Option<String>,
    /// Where in the region nsqd runs, from servers after 1.3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_zone: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nsqd_1_3_0_says() {
        let json = r#"{"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"vm","http_port":24151,
            "tcp_port":24150,"start_time":1795323993,"max_heartbeat_interval":60000000000,
            "max_output_buffer_size":65536,"max_output_buffer_timeout":30000000000,"max_deflate_level":6}"#;
        let info: NsqdInfo = serde_json::from_str(json).unwrap();
        assert_eq!(info.tcp_port, Some(24150));
        assert_eq!(info.max_heartbeat_interval, Duration::from_secs(60));
        assert_eq!(info.topology_zone, None);
        let written = serde_json::to_value(&info).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn a_unix_socket_has_no_port() {
        let json = r#"{"version":"1.3.0","tcp_port":-1,"http_port":24251}"#;
        let info: NsqdInfo = serde_json::from_str(json).unwrap();
        assert_eq!((info.tcp_port, info.http_port), (None, Some(24251)));
        assert_eq!(serde_json::to_value(&info).unwrap()["tcp_port"], -1);
    }

    #[test]
    fn newer_and_older_servers_are_understood() {
        let newer = r#"{"version":"2","topology_region":"eu","topology_zone":"a","novelty":[1]}"#;
        assert_eq!(serde_json::from_str::<NsqdInfo>(newer).unwrap().topology_region.as_deref(), Some("eu"));
        assert_eq!(serde_json::from_str::<NsqdInfo>("{}").unwrap(), NsqdInfo::default());
    }
}
