//! What the servers' router answers where no handler does.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::HttpError;

/// `router` with the answers of the real servers to whatever it has no handler for:
///
/// - an unknown path: 404 `NOT_FOUND`;
/// - another method, HEAD too: 405 `METHOD_NOT_ALLOWED` with the methods that are allowed;
/// - OPTIONS: 200 with the methods;
/// - a path that differs from a handler's in a final slash, in case, or in `//`, `.` and `..`: a redirect there, 301 for
///   GET and 307 for others, if there is a handler for the method;
/// - a panic: 500 `INTERNAL_ERROR`.
pub(crate) fn with_fallbacks(router: Router) -> Router {
    let router = router.fallback(async || with_mark(HttpError::not_found("NOT_FOUND"))).method_not_allowed_fallback(
        async || with_mark(HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")),
    );
    let inner = Inner(TowerToHyperService::new(router));
    Router::new().fallback(move |request: Request| {
        let inner = inner.clone();
        async move { unless_it_panics(inner.answer(request)).await }
    })
}

#[derive(Clone)]
struct Inner(TowerToHyperService<Router>);

/// Marks an answer that no handler gave.
#[derive(Clone)]
struct NoHandler;

impl Inner {
    async fn answer(&self, request: Request) -> Response {
        let method = request.method().clone();
        let uri = request.uri().clone();
        if method == Method::OPTIONS {
            return match self.methods(uri.path()).await {
                _ if uri.path() == "*" => StatusCode::OK.into_response(),
                Some(methods) => [(ALLOW, allow(methods))].into_response(),
                None => HttpError::not_found("NOT_FOUND").into_response(),
            };
        }
        // The router would let a handler of GET answer HEAD, which nsqd doesn't.
        let response = if method == Method::HEAD { self.probe(&uri).await } else { self.call(request).await };
        if response.extensions().get::<NoHandler>().is_none() {
            return response;
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let methods = self.methods(uri.path()).await.unwrap_or_default();
            return ([(ALLOW, allow(methods))], response).into_response();
        }
        match self.elsewhere(&method, uri.path()).await {
            Some(path) => redirect(&method, &path, uri.query()),
            None => response,
        }
    }

    /// A path like `path` that has a handler for `method`.
    async fn elsewhere(&self, method: &Method, path: &str) -> Option<String> {
        let clean = clean(path).to_ascii_lowercase();
        for path in [with_other_end(path), with_other_end(&clean), clean] {
            if self.methods(&path).await.is_some_and(|methods| methods.contains(method)) {
                return Some(path);
            }
        }
        None
    }

    /// The methods that have handlers at `path`; nothing if there is none.
    async fn methods(&self, path: &str) -> Option<Vec<Method>> {
        let response = self.probe(&path.parse().ok()?).await;
        let allowed = response.headers().get(ALLOW)?.to_str().ok()?;
        let methods = allowed.split(',').filter_map(|method| method.trim().parse().ok());
        Some(methods.filter(|method| method != Method::HEAD).collect())
    }

    /// Asks by a method that no handler has, so that none runs.
    async fn probe(&self, uri: &Uri) -> Response {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::from_bytes(b"PROBE").expect("a word is a method");
        *request.uri_mut() = uri.clone();
        self.call(request).await
    }

    async fn call(&self, request: Request) -> Response {
        self.0.call(request).await.unwrap_or_else(|error: Infallible| match error {})
    }
}

fn with_mark(error: HttpError) -> Response {
    let mut response = error.into_response();
    response.extensions_mut().insert(NoHandler);
    response
}

fn allow(mut methods: Vec<Method>) -> HeaderValue {
    methods.push(Method::OPTIONS);
    methods.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::try_from(names.join(", ")).expect("names of methods are fit for a header")
}

fn redirect(method: &Method, path: &str, query: Option<&str>) -> Response {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let Ok(location) = HeaderValue::try_from(&target) else {
        return HttpError::not_found("NOT_FOUND").into_response();
    };
    if *method != Method::GET {
        return (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response();
    }
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let target = target.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
    let body = format!("<a href=\"{target}\">Moved Permanently</a>.\n\n");
    (StatusCode::MOVED_PERMANENTLY, [(CONTENT_TYPE, html), (LOCATION, location)], body).into_response()
}

/// Without empty segments, `.` and `..`, and without a final slash.
fn clean(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// With a slash at the end if it had none, and the other way round.
fn with_other_end(path: &str) -> String {
    path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned)
}

async fn unless_it_panics(answer: impl Future<Output = Response>) -> Response {
    let mut answer = pin!(answer);
    // What a handler shares with others is behind locks that a panic doesn't poison.
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))).unwrap_or_else(|_| {
            tracing::error!("a handler of the HTTP API panicked");
            Poll::Ready(HttpError::internal().into_response())
        })
    })
    .await
}
