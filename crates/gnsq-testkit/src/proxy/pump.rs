//! Carries the bytes, and the faults.

use std::io::{ErrorKind, Result};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Direction;

/// Bytes and when they came; no bytes at the end of the connection.
type Arrival = (Instant, BytesMut);

impl Direction {
    /// Carries bytes from one side to the other, subject to the faults, until the end of what comes.
    ///
    /// # Errors
    ///
    /// When a side fails, or a fault cuts the connection.
    pub(super) async fn pump(&self, from: OwnedReadHalf, to: OwnedWriteHalf) -> Result<()> {
        // Reading apart from writing: a delay must not slow down what comes behind.
        let (queue, queued) = mpsc::channel(QUEUED_CHUNKS);
        tokio::try_join!(self.read(from, queue), self.write(queued, to))?;
        Ok(())
    }

    async fn read(&self, mut from: OwnedReadHalf, queue: mpsc::Sender<Arrival>) -> Result<()> {
        let mut watch = self.watch();
        loop {
            watch.flowing().await;
            let mut chunk = BytesMut::with_capacity(CHUNK);
            tokio::select! {
                biased;
                () = watch.changed() => continue,
                read = from.read_buf(&mut chunk) => read?,
            };
            let ended = chunk.is_empty();
            if queue.send((Instant::now(), chunk)).await.is_err() || ended {
                return Ok(());
            }
        }
    }

    async fn write(&self, mut queue: mpsc::Receiver<Arrival>, mut to: OwnedWriteHalf) -> Result<()> {
        let mut watch = self.watch();
        let mut passed = 0;
        let mut busy_until = Instant::now();
        while let Some((arrived, mut chunk)) = queue.recv().await {
            if chunk.is_empty() {
                watch.cleared(arrived, busy_until).await;
                return to.shutdown().await;
            }
            while !chunk.is_empty() {
                let faults = watch.cleared(arrived, busy_until).await;
                let Some(length) = faults.piece(passed, chunk.len()) else {
                    return Err(ErrorKind::ConnectionAborted.into());
                };
                // A copy: if the write is given up for other faults, the original is still what came.
                let mut piece = BytesMut::from(&chunk[..length]);
                faults.corrupt(passed, &mut piece);
                let written = tokio::select! {
                    biased;
                    () = watch.changed() => continue,
                    written = to.write(&piece) => written?,
                };
                chunk.advance(written);
                self.count(written);
                passed += written as u64;
                busy_until = busy_until.max(Instant::now()) + faults.busy(written);
                if faults.cuts_at(passed) {
                    to.shutdown().await?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
            }
        }
        Ok(())
    }
}

/// The most that is read at once.
const CHUNK: usize = 16 << 10;
/// With chunks of [`CHUNK`], at most 2 MiB: enough to delay a fast stream by a while.
const QUEUED_CHUNKS: usize = 126;
