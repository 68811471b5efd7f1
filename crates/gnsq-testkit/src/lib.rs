//! Real NSQ servers, scripted peers and faulty networks for tests.
//!
//! - [`Nsqd`], [`Nsqlookupd`] and [`Cluster`] start the real servers, each on its own ports and with its own data.
//! - [`ScriptedPeer`] plays nsqd, or any other TCP server, word for word as a test dictates.
//! - [`MemoryNsqd`] is an nsqd in the client's own thread, on which a client's instructions can be counted.
//! - [`Proxy`] stands between a client and a server and breaks the network on command.
//! - [`eventually`] waits for a state that no event announces; [`http`] asks servers for it.
//!
//! Everything here panics with a message that says what was expected and what came instead: that fails the test, which
//! is its purpose. Nothing waits for ever: a wait that isn't given its own deadline ends after [`DEADLINE`]. The
//! deadlines are in real time, so these tools don't fit a test whose tokio clock is paused.

pub mod http;
mod memory;
mod peer;
mod proxy;
mod servers;
mod wait;

pub use memory::MemoryNsqd;
pub use peer::{PeerConnection, ScriptedPeer, identify_reply};
pub use proxy::{Direction, Proxy};
pub use servers::{ChannelStats, Cluster, Nsqd, NsqdBuilder, Nsqlookupd, NsqlookupdBuilder, TopicStats, program};
use wait::POLL_INTERVAL;
pub use wait::{DEADLINE, eventually};
