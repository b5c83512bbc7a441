//! Tests of the result of `send` for each kind of response.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::error::Error as _;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokensink_core::{Secret, SinkError, SinkErrorKind};
use tokensink_http::{Response, build_client, parse_base_url, send};

async fn sent(
    status: u16,
    headers: &[(&'static str, &'static str)],
) -> Result<Response, SinkError> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let response = (StatusCode::from_u16(status).unwrap(), headers, r#"{"error":"no: key-1"}"#);
    let router = Router::new().fallback(move || {
        let response = response.clone();
        async move { response }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = parse_base_url(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = build_client(&base, Duration::from_secs(5)).unwrap();
    send("write the secret", client.put(base), &[&Secret::new("key-1")]).await
}

#[tokio::test]
async fn each_status_has_its_error_kind() {
    use SinkErrorKind::{Conflict, NotFound, Other, PermissionDenied, Rejected, Transient};
    for (status, kind) in [
        (302, Other),
        (400, Other),
        (401, PermissionDenied),
        (403, PermissionDenied),
        (404, NotFound),
        (405, Other),
        (407, PermissionDenied),
        (408, Transient),
        (409, Conflict),
        (410, NotFound),
        (413, Rejected),
        (418, Other),
        (422, Rejected),
        (500, Transient),
        (503, Transient),
        (599, Transient),
    ] {
        let error = sent(status, &[]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("cannot write the secret: {status} ")), "{message}");
        assert!(message.ends_with(": no: [redacted]"), "{message}");
    }
    for status in [200, 201, 204] {
        assert_eq!(sent(status, &[]).await.unwrap().status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_rate_limit_always_has_a_pause() {
    for (headers, seconds) in
        [(&[][..], 5), (&[("retry-after", "0")], 1), (&[("retry-after", "30")], 30)]
    {
        let retry_after = Duration::from_secs(seconds);
        let error = sent(429, headers).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::RateLimited { retry_after });
    }
}

#[tokio::test]
async fn the_error_for_an_unreachable_host_names_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = parse_base_url(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let client = build_client(&base, Duration::from_secs(5)).unwrap();
    let error = send("write the secret", client.put(base), &[]).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Transient);
    assert_eq!(error.to_string(), "cannot write the secret at 127.0.0.1");
    assert!(error.source().unwrap().to_string().starts_with("could not connect: "));
    assert!(error.help().unwrap().contains("network"));
}
