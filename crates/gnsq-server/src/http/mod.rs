//! HTTP as nsqd and nsqlookupd speak it: what their two APIs share.

mod answer;
mod body;
mod client;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod query;
mod routes;
mod serve;

pub(crate) use answer::{HttpError, done, json, raw_json, text};
pub(crate) use body::{BodyError, read_body};
pub(crate) use client::{ClientError, client};
pub(crate) use query::Query;
pub(crate) use routes::with_fallbacks;
pub(crate) use serve::serve;
