//! A connection of the TCP protocol.
//!
//! One task a connection, and three parts: a [`Session`](session::Session) knows the protocol, a
//! [`Transport`](transport::Transport) moves bytes, and a [`Driver`] brings them together with the time and the bell that
//! channels ring.

mod authorize;
mod buffers;
mod consuming;
mod driver;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod identify;
mod liveness;
mod publishing;
mod recent;
mod refusal;
mod resumed;
mod session;
#[cfg(all(test, unix))]
mod tests;
mod transport;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::driver::{Driver, Next};
use self::session::Session;
use self::transport::{Stream, Transport};
use super::broker::Broker;
use crate::listen::Socket;

/// Serves a client until it goes, is turned away, or `stop` is called.
pub(super) async fn serve(socket: Socket, peer: Option<SocketAddr>, broker: Arc<Broker>, stop: CancellationToken) {
    let session = Session::new(broker, peer);
    let connection = async {
        let mut driver = Driver::new(session, Transport::new(Stream::Plain(socket)));
        while let Next::Upgrade(granted) = driver.drive().await {
            match driver.upgrade(&granted).await {
                Some(upgraded) => driver = upgraded,
                None => break,
            }
        }
    };
    // A token of its own: all connections look at it often, and would get into each other's way.
    stop.child_token().run_until_cancelled(connection).await;
}
