//! Which NSQ the servers stand in for, and what they are.

/// The version of NSQ whose servers these stand in for: what clients are told.
pub const NSQ_VERSION: &str = "1.3.0";

/// What a server says of its version, in the form of the real ones: `nsqd v1.3.0 (built w/gnsq-server 0.1.0)`.
///
/// ```
/// assert!(gnsq_server::version_line("nsqd").starts_with("nsqd v1.3.0 (built w/gnsq-server "));
/// ```
pub fn version_line(program: &str) -> String {
    format!("{program} v{NSQ_VERSION} (built w/{} {})", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
