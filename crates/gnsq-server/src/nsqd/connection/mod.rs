//! A connection of the TCP protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use crate::listen::Socket;

pub(super) async fn serve(_: Socket, _: Option<SocketAddr>, _: Arc<Broker>, _: CancellationToken) {}
