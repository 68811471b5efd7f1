//! IDENTIFY, and how the stream goes on behind it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use gnsq_proto::ErrorCode;
use gnsq_proto::command::decode::sized_body;
use gnsq_proto::compress::Codec;
use gnsq_proto::frame::{OK, encode_error, encode_response};
use tokio::io::AsyncWrite;
use tokio_rustls::server::TlsStream;

use super::driver::Driver;
use super::identify::{Granted, Offer, Request};
use super::refusal::Refusal;
use super::resumed::Resumed;
use super::session::{Session, State, Step, complete};
use super::transport::{Stream, Transport};
use crate::listen::Socket;
use crate::nsqd::client::TlsIdentity;
use crate::nsqd::consumers::Delivery;
use crate::nsqd::message::Now;
use crate::tls::{cipher_suite_name, common_name, version_name};

impl Session {
    pub(super) fn identify(&mut self, behind: &[u8], now: Now, out: &mut BytesMut) -> Result<Step, Refusal> {
        if !matches!(self.state, State::Init) {
            return Err(Refusal::state(b"IDENTIFY"));
        }
        let options = self.broker.options();
        let body = sized_body(behind, options.max_body_size);
        let (body, consumed) = match complete(body.map_err(|error| Refusal::body("IDENTIFY", error))?) {
            Ok(complete) => complete,
            Err(step) => return Ok(step),
        };
        let request = Request::parse(body)?;
        let surroundings = self.broker.surroundings();
        let offer = Offer {
            // What the stream has already isn't laid around it again.
            tls: surroundings.tls.is_some() && !self.secure,
            compression: !self.compressed,
            auth_required: surroundings.authority.is_some(),
        };
        let granted = request.grant(&self.settings, options, offer)?;
        if request.feature_negotiation {
            encode_response(&granted.to_json(options, offer), out);
        } else {
            encode_response(OK, out);
        }
        {
            let mut identity = self.client.identity();
            identity.client_id = request.client_id;
            identity.hostname = request.hostname;
            identity.user_agent = request.user_agent;
            identity.sample_rate = granted.sample_rate;
            identity.snappy |= granted.snappy;
            identity.deflate |= granted.deflate;
        }
        self.settings = granted.settings.clone();
        if std::mem::replace(&mut self.identified, true) {
            // nsqd's message pump hears of the first IDENTIFY only.
            self.liveness.set_interval(granted.settings.heartbeat_interval);
        } else {
            self.liveness.set_beats(now.tick, granted.settings.heartbeat_interval);
            self.delivery = Delivery { msg_timeout: granted.settings.msg_timeout, sample_rate: granted.sample_rate };
        }
        if granted.tls || granted.snappy || granted.deflate {
            return Ok(Step::Upgrade(consumed, Box::new(granted)));
        }
        Ok(Step::Done(consumed))
    }
}

impl Driver {
    /// Changes the stream as it was granted. All that came before has been sent.
    pub(super) async fn upgrade(mut self: Box<Self>, granted: &Granted) -> Option<Box<Self>> {
        if granted.tls {
            self = self.begin_tls().await?;
            encode_response(OK, &mut self.output);
        }
        let codec = if granted.snappy {
            Codec::snappy()
        } else if granted.deflate {
            Codec::deflate(granted.deflate_level)
        } else {
            return Some(self);
        };
        tracing::debug!(client = %self.session.client.name(), snappy = granted.snappy, "the stream is compressed");
        let (received, to_send) = (std::mem::take(&mut self.input), std::mem::take(&mut self.output));
        self.transport.compress(codec, received, to_send);
        self.session.compressed = true;
        encode_response(OK, &mut self.output);
        Some(self)
    }

    async fn begin_tls(self: Box<Self>) -> Option<Box<Self>> {
        let Self { mut session, transport, input, .. } = *self;
        // It is granted once, and only where there is a certificate.
        let Stream::Plain(socket) = transport.into_stream() else { return None };
        let acceptor = session.broker.surroundings().tls.clone()?;
        let clock = session.broker.clock().clone();
        let until = clock.now().after(HANDSHAKE);
        let alarm = async move { clock.sleep_until(Some(until)).await };
        let mut resumed = Resumed::new(input, socket, alarm);
        let handshake = match resumed.looks_like_tls().await {
            Ok(true) => acceptor.0.accept(resumed).into_fallible().await,
            Ok(false) => Err((io::Error::other(NO_TLS), resumed)),
            Err(error) => Err((error, resumed)),
        };
        match handshake {
            Ok(mut stream) => {
                stream.get_mut().0.disarm();
                session.secured_by(&stream);
                let now = session.broker.now();
                session.liveness.command(now.tick);
                Some(Box::new(Self::new(session, Transport::new(Stream::Tls(Box::new(stream))))))
            }
            Err((error, resumed)) => {
                tracing::debug!(client = %session.client.name(), %error, "no TLS");
                refuse(resumed.socket, &error).await;
                None
            }
        }
    }
}

impl Session {
    fn secured_by(&mut self, stream: &TlsStream<Resumed>) {
        let (_, connection) = stream.get_ref();
        self.secure = true;
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        self.authorization.common_name = certificate.and_then(common_name).unwrap_or_default();
        self.client.identity().tls = Some(TlsIdentity {
            version: connection.protocol_version().map(version_name).unwrap_or_default().to_owned(),
            cipher_suite: connection
                .negotiated_cipher_suite()
                .map(|suite| cipher_suite_name(suite.suite()).into_owned())
                .unwrap_or_default(),
            negotiated_protocol: String::new(),
            negotiated_protocol_is_mutual: true,
        });
    }
}

/// In clear text, as nsqd does. A socket that has no room for a few bytes gets none.
async fn refuse(mut socket: Socket, error: &io::Error) {
    let mut frame = BytesMut::new();
    encode_error(&ErrorCode::IdentifyFailed, format!("IDENTIFY failed {error}").as_bytes(), &mut frame);
    poll_fn(|cx| {
        let _ = Pin::new(&mut socket).poll_write(cx, &frame);
        Poll::Ready(())
    })
    .await;
}

/// nsqd's word for what is no handshake.
const NO_TLS: &str = "tls: first record does not look like a TLS handshake";
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
