//! One connection to an nsqlookupd.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gnsq_proto::ServerError;
use gnsq_proto::lookupd::{LookupdCommand, LookupdError, LookupdReply, MAGIC_V1};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock::Clock;

/// A connection to an nsqlookupd, where every answer has to come in time.
#[derive(Debug)]
pub(super) struct Link {
    socket: TcpStream,
    input: BytesMut,
    clock: Clock,
}

/// Why a connection to an nsqlookupd is of no use any more.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("it didn't {0} within a second")]
    Timeout(&'static str),
    #[error("it refused what it was told: {0}")]
    Refused(ServerError),
    #[error("it isn't an nsqlookupd: {0}")]
    Protocol(#[from] LookupdError),
    #[error("it sent an answer that nobody waits for")]
    Unexpected,
}

impl Link {
    pub(super) async fn connect(address: &str, clock: &Clock) -> Result<Self, LinkError> {
        let socket = within_limit(clock, "accept the connection", TcpStream::connect(address)).await??;
        // Commands are gathered before they reach the socket.
        let _ = socket.set_nodelay(true);
        let mut this = Self { socket, input: BytesMut::new(), clock: clock.clone() };
        this.write(MAGIC_V1).await?;
        Ok(this)
    }

    /// Sends IDENTIFY, and returns what it says of itself; an old one says only `OK`.
    pub(super) async fn identify(&mut self, body: Bytes) -> Result<Option<Bytes>, LinkError> {
        let mut out = BytesMut::new();
        LookupdCommand::Identify(body).encode(&mut out);
        self.write(&out).await?;
        match self.reply().await? {
            LookupdReply::Data(data) => Ok(Some(data)),
            LookupdReply::Ok => Ok(None),
            LookupdReply::Error(error) => Err(LinkError::Refused(error)),
        }
    }

    /// Sends the commands, and returns when each is confirmed.
    pub(super) async fn tell(&mut self, commands: &[LookupdCommand]) -> Result<(), LinkError> {
        let mut out = BytesMut::new();
        for commands in commands.chunks(PIPELINED) {
            out.clear();
            for command in commands {
                command.encode(&mut out);
            }
            self.write(&out).await?;
            for _ in commands {
                match self.reply().await? {
                    LookupdReply::Ok => {}
                    LookupdReply::Error(error) => return Err(LinkError::Refused(error)),
                    LookupdReply::Data(_) => return Err(LinkError::Unexpected),
                }
            }
        }
        Ok(())
    }

    /// Waits for the end of the connection. Nothing is lost when this is dropped and called again.
    pub(super) async fn ended(&mut self) -> LinkError {
        match self.read().await {
            Ok(()) => match LookupdReply::decode(&mut self.input, MAX_REPLY) {
                Ok(Some(LookupdReply::Error(error))) => LinkError::Refused(error),
                _ => LinkError::Unexpected,
            },
            Err(error) => error,
        }
    }

    async fn reply(&mut self) -> Result<LookupdReply, LinkError> {
        loop {
            if let Some(reply) = LookupdReply::decode(&mut self.input, MAX_REPLY)? {
                return Ok(reply);
            }
            let clock = self.clock.clone();
            within_limit(&clock, "answer", self.read()).await??;
        }
    }

    async fn read(&mut self) -> Result<(), LinkError> {
        self.input.reserve(READ_SIZE);
        match self.socket.read_buf(&mut self.input).await? {
            0 => Err(LinkError::Closed),
            _ => Ok(()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        Ok(within_limit(&self.clock, "take what it was sent", self.socket.write_all(bytes)).await??)
    }
}

async fn within_limit<T>(clock: &Clock, what: &'static str, future: impl Future<Output = T>) -> Result<T, LinkError> {
    tokio::select! {
        biased;
        output = future => Ok(output),
        () = clock.sleep_until(Some(clock.now().after(LIMIT))) => Err(LinkError::Timeout(what)),
    }
}

/// nsqd's deadline for each of these.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// So few that all their answers fit into a socket's buffer: neither side can be stuck while it writes.
const PIPELINED: usize = 500;

/// Far beyond what an nsqlookupd says of itself.
const MAX_REPLY: usize = 64 * 1024;

const READ_SIZE: usize = 1024;
