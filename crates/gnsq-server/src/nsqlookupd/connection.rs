//! Moves a connection's bytes between its socket and its session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Shared;
use super::session::Session;
use crate::accept::close;
use crate::listen::Socket;

/// Serves one who came, until either side has enough.
pub(super) async fn serve(shared: Arc<Shared>, mut socket: Socket, remote: Option<SocketAddr>) {
    let remote = remote.map(|address| address.to_string()).unwrap_or_default();
    let clock = shared.clock.clone();
    let mut session = Session::new(shared, remote.clone());
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    loop {
        let more = session.answer(&mut input, &mut out);
        if !out.is_empty() {
            tokio::select! {
                sent = socket.write_all(&out) => if sent.is_err() { return },
                () = clock.sleep_until(Some(clock.now().after(WRITE_TIMEOUT))) => return,
            }
            out.clear();
        }
        if !more {
            // What it had registered is gone at once, not when the last byte is read.
            drop(session);
            return close(socket).await;
        }
        input.reserve(READ_SIZE);
        tokio::select! {
            read = socket.read_buf(&mut input) => match read {
                Ok(0) => {
                    session.cut_short(&input, &mut out);
                    // Whether it is still there to hear that is up to the other side.
                    let _ = timeout(WRITE_TIMEOUT, socket.write_all(&out)).await;
                    return;
                }
                Err(_) => return,
                Ok(_) => {}
            },
            () = clock.sleep_until(Some(clock.now().after(MAX_SILENCE))) => {
                tracing::info!(client = remote, "an nsqd's connection is closed: it was silent for too long");
                return;
            }
        }
    }
}

/// nsqds ping every 15 seconds: who is silent for so long is gone, or has never been an nsqd.
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// An answer fits into any socket's buffer, unless the other side doesn't read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Room for a few commands: there may be many idle connections.
const READ_SIZE: usize = 512;
