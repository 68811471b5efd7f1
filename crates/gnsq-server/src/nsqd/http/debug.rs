//! What looks into Go's runtime, which isn't here.

use axum::http::StatusCode;

use crate::http::HttpError;

/// Profiles, the rate at which blocking is sampled, and giving memory back to the system: 501, as all of it is
/// Go's.
pub(super) async fn of_go() -> HttpError {
    HttpError::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED")
}

/// The profiles that nsqd has.
pub(super) const PROFILES: [&str; 6] = ["block", "cmdline", "goroutine", "heap", "profile", "threadcreate"];
