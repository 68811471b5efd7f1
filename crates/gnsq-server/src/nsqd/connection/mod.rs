//! A connection of the TCP protocol.
//!
//! One task a connection, and three parts: a [`Session`] knows the protocol, a
//! [`Transport`] moves bytes, and a [`Driver`] brings them together with the time and the bell that
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
pub(super) fn serve(
    socket: Socket,
    peer: Option<SocketAddr>,
    broker: Arc<Broker>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    // A token of its own: all connections look at it often, and would get into each other's way.
    let stop = stop.child_token();
    // On the heap, rather than in each of the futures around it.
    let mut driver = Box::new(Driver::new(Session::new(broker, peer), Transport::new(Stream::Plain(socket))));
    async move {
        let connection = async {
            while let Next::Upgrade(granted) = driver.drive().await {
                // Few connections are upgraded, and a handshake takes more room than all else.
                match Box::pin(driver.upgrade(&granted)).await {
                    Some(upgraded) => driver = upgraded,
                    None => break,
                }
            }
        };
        stop.run_until_cancelled(connection).await;
    }
}
