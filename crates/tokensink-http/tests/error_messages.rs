//! Tests of the messages for error responses.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokensink_core::Secret;
use tokensink_http::{Response, build_client, parse_base_url};

async fn error_message(body: &str, secrets: &[&Secret]) -> String {
    let body = body.to_owned();
    let router = Router::new().fallback(move || async move { (StatusCode::BAD_REQUEST, body) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = parse_base_url(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = build_client(&base, Duration::from_secs(5)).unwrap();
    Response::to(client.get(base)).await.unwrap().error_message(secrets)
}

#[tokio::test]
async fn the_servers_error_message_is_shown() {
    for (body, shown) in [
        (r#"{"error":"no such user","message":"other"}"#, ": no such user"),
        (r#"{"code":7,"message":"gone"}"#, ": gone"),
        ("\"plain\"", ": plain"),
        ("in\nwords", ": in words"),
        ("<html>proxy</html>", ""),
        ("", ""),
    ] {
        assert_eq!(error_message(body, &[]).await, format!("400 Bad Request{shown}"), "{body}");
    }
}

#[tokio::test]
async fn a_truncated_message_contains_no_part_of_a_secret() {
    // A secret that is passed to `error_message`, one that only the caller knows, and an unknown one.
    let (ours, theirs) = (Secret::new("known to us 1"), "known-to-the-caller-1");
    let unknown = "eyJVc2VySUQiOiJhIiwiUGFzc3dvcmQiOiIxMjM0NTY3ODkwIn0=";
    for length in (100..210).step_by(6) {
        for secret in [ours.expose(), theirs, unknown] {
            let filling = "-".repeat(length);
            let body = serde_json::json!({"error": format!("{filling} {secret} {filling}")});
            let shown = error_message(&body.to_string(), &[&ours]).await;
            let caller = shown.replace(theirs, "");
            for start in ["know", "eyJ"] {
                assert!(!caller.contains(start), "{shown}");
            }
        }
    }
}
