//! Requests without a connection, as the fuzz targets make them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::{Query, read_body};

/// What a server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// Answers a request whose body comes in pieces, of which one alone has a length that is announced.
pub(crate) fn request(router: &Router, method: &[u8], uri: &[u8], body: Vec<Bytes>) -> Option<HttpAnswer> {
    let body = match <[Bytes; 1]>::try_from(body) {
        Ok([all]) => Body::from(all),
        Err(pieces) => Body::new(Pieces(pieces.into())),
    };
    let request = Request::builder().method(method).uri(uri).body(body).ok()?;
    let response = at_once(TowerToHyperService::new(router.clone()).call(request));
    let response = response.unwrap_or_else(|error: Infallible| match error {});
    let status = response.status().as_u16();
    let body = at_once(read_body(response.into_body(), usize::MAX)).expect("what the server writes can be read");
    Some(HttpAnswer { status, body })
}

/// The value of a parameter, see [`Query`]; an error if the query is malformed.
pub fn parameter(query: &str, name: &str) -> Result<Option<String>, ()> {
    Query::parse(query).map(|query| query.get(name).map(str::to_owned)).ok_or(())
}

struct Pieces(VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// What comes of a future that has nothing to wait for.
fn at_once<F: Future>(future: F) -> F::Output {
    poll_once(future).expect("the server waits for nothing, as all is there")
}

/// What comes of a future, if it comes without waiting.
pub(crate) fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
