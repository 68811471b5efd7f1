//! An NSQ client: fast, safe, complete.
//!
//! - [`Producer`] publishes to any number of nsqds, [`Consumer`] takes messages from any number of them, named or
//!   found through nsqlookupd.
//! - [`NsqdTcpClient`] is one connection, with every command of the protocol.
#![cfg_attr(feature = "http", doc = "- [`NsqdHttpClient`] and [`LookupdClient`] are the daemons' HTTP interfaces.")]
#![cfg_attr(feature = "blocking", doc = "- [`blocking`] has producer and consumer for programs without async.")]
//! - [`contrib`] has batches, a queue for several tasks, and what keeps messages that failed too often; [`envelope`] puts
//!   headers and a trace's context in front of a body.
//! - [`ConnectionConfig`] holds the options that all connections have in common, [`Error`] tells what went wrong,
//!   [`Signals`] tell what happens.
//!
//! ```no_run
//! # async fn example() -> gnsq::Result<()> {
//! use gnsq::{Consumer, Message, Producer};
//!
//! let producer = Producer::builder().nsqd("127.0.0.1:4150").build()?;
//! producer.publish("orders", "one coffee").await?;
//!
//! let consumer = Consumer::builder("orders", "kitchen").lookupd("http://127.0.0.1:4161").build()?;
//! consumer
//!     .run(|message: Message| async move {
//!         println!("{}", String::from_utf8_lossy(message.body()));
//!         Ok::<_, std::io::Error>(())
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `http` | yes | the HTTP clients, https included, and discovery through nsqlookupd |
//! | `tls` | yes | TLS for connections to nsqd, verified against the system's roots |
//! | `snappy`, `deflate` | yes | compressed connections to nsqd |
//! | `metrics` | no | counters, gauges and histograms through the `metrics` facade: `gnsq::metrics` |
//! | `blocking` | no | `gnsq::blocking`: the producer and the consumer for programs without async |

mod address;
#[cfg(feature = "blocking")]
pub mod blocking;
mod budget;
mod config;
mod connection;
mod consumer;
pub mod contrib;
pub mod envelope;
mod error;
mod event;
mod events;
mod fleet;
mod frames;
#[cfg(feature = "http")]
pub mod http;
mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
mod nsqd;
mod outbound;
mod producer;
mod queue;
mod runtime;
mod telemetry;
mod time_limit;
#[cfg(any(feature = "tls", feature = "http"))]
mod tls;
mod trace;

pub use address::{Address, AddressError, DEFAULT_NSQD_TCP_PORT};
pub use config::ConnectionConfig;
pub use connection::{ConnectionStats, Dialer};
pub use consumer::{Consumer, ConsumerBuilder, ConsumerHandle, ConsumerStats, Requeue, ShutdownReport};
pub use envelope::Envelope;
pub use error::{Error, Result};
pub use event::{Signal, SignalGuard, SignalStream};
pub use events::{
    AuthEvent, CloseEvent, ErrorEvent, ExceptionEvent, FinishEvent, HandlerError, MessageEvent, RequeueEvent,
    ResponseEvent, Signals,
};
pub use frames::{FrameClient, Incoming};
pub use gnsq_proto::command::{Batch, Packer};
pub use gnsq_proto::connection::{ConnectionError, StateError};
pub use gnsq_proto::frame::FrameError;
pub use gnsq_proto::{
    AuthResponse, BackoffStrategy, BackoffTimer, ChannelName, Difference, ErrorCode, ExponentialBackoff, Frame,
    IdentifyResponse, LimitError, MessageFrame, MessageId, NameError, PublishLimits, Secret, ServerError, TopicName,
};
#[cfg(feature = "http")]
pub use http::{HttpError, LookupdClient, NsqdHttpClient};
pub use message::Message;
pub use nsqd::NsqdTcpClient;
pub use producer::{
    BreakerState, CloseReport, NsqdStats, Producer, ProducerBuilder, ProducerStats, PublishOptions, Routing,
    Undelivered, WhenDisconnected,
};
pub use runtime::Io;
#[cfg(feature = "tls")]
pub use tls::{TlsConfig, TlsVersion};

/// The README's code is compiled with the documentation's examples.
#[cfg(all(doctest, feature = "blocking", feature = "http"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
