//! What can be changed while an nsqd runs.

use tokio::sync::watch;

use super::options::NsqdOptions;
use crate::log_level::LogLevel;

/// The settings of a running nsqd. Whoever acts by one subscribes to it.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) log_level: watch::Sender<LogLevel>,
    pub(super) lookupd_tcp_addresses: watch::Sender<Vec<String>>,
}

impl Settings {
    pub(super) fn new(options: &NsqdOptions) -> Self {
        Self {
            log_level: watch::Sender::new(options.log_level),
            lookupd_tcp_addresses: watch::Sender::new(options.lookupd_tcp_addresses.clone()),
        }
    }
}
