//! Takes connections, no more than so many at a time, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listen::{Listener, Socket};

/// Calls `serve` for each who comes to `listener`, and runs what it returns as a task, until `stop` is cancelled: then
/// all of them end where they are, and when they have, this ends. Who comes while `max_connections` are there goes to
/// `refuse` instead.
pub(crate) async fn accept_each<Connection: Future<Output = ()> + Send + 'static>(
    listener: Listener,
    max_connections: usize,
    stop: CancellationToken,
    serve: impl Fn(Socket, Option<SocketAddr>) -> Connection,
    refuse: impl Fn(Socket),
) {
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let accept = async {
        loop {
            let (socket, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(max_connections, "a connection is refused: there are too many");
                refuse(socket);
                continue;
            };
            let connection = serve(socket, remote);
            let stop = stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled_owned(connection).await;
                drop(place);
            });
        }
    };
    let _: Option<()> = stop.run_until_cancelled(accept).await;
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Closes a connection so that the other side gets what was sent last.
///
/// Closing a socket with something unread in it would take that back. So this tells the other side that nothing will
/// follow, and reads on for half a second at most.
pub(crate) async fn close(mut socket: impl AsyncRead + AsyncWrite + Unpin) {
    let drain = async {
        socket.shutdown().await?;
        let mut unread = [0; 1024];
        let mut left = MAX_DRAINED;
        while left > 0 {
            match socket.read(&mut unread).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        std::io::Result::Ok(())
    };
    // Whether it has read all is up to the other side.
    let _ = timeout(DRAIN_TIMEOUT, drain).await;
}

/// When the process has no descriptor left, others must close before another try makes sense.
const AFTER_ERROR: Duration = Duration::from_millis(50);

const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

const MAX_DRAINED: usize = 1024 * 1024;
