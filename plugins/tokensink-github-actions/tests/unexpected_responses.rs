//! Answers to a write that are not GitHub's own.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokensink_core::{SinkErrorKind, Token, TokenSink};
use tokensink_github_actions as _;

/// 32 bytes, as a public key has.
const KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

/// A server that lets a repository be prepared, and says this of its secret: to whoever writes it,
/// and to whoever looks at it.
async fn sink_at(
    of_secret: impl IntoResponse + Clone + Send + Sync + 'static,
) -> Box<dyn TokenSink> {
    let router = Router::new().fallback(move |method: Method, uri: axum::http::Uri| async move {
        let document = match uri.path().rsplit('/').next().unwrap() {
            "api" => json!({"id": 1, "full_name": "acme/api"}),
            "environments" => json!({"environments": []}),
            "public-key" => json!({"key_id": "1", "key": KEY}),
            _ => return of_secret.into_response(),
        };
        assert_eq!(method, Method::GET);
        axum::Json::<Value>(document).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let table = json!({"repositories": ["acme/api"], "api_url": url});
    tokensink_testkit::build("github-actions", table, &[("GH_TOKEN", "any")]).unwrap().remove(0)
}

#[tokio::test]
async fn only_what_github_answers_to_a_write_acknowledges_it() {
    let (token, page) = (Token::new("new"), "<html>welcome</html>");
    for status in [StatusCode::CREATED, StatusCode::NO_CONTENT] {
        let prepared = sink_at(status).await.prepare().await.unwrap();
        assert!(prepared.writer.write(&token).await.unwrap().get("written_at").is_some());
    }
    for status in [StatusCode::OK, StatusCode::ACCEPTED] {
        let sink = sink_at((status, page)).await;
        // It may have been carried out, and may be repeated.
        let error = sink.prepare().await.unwrap().writer.write(&token).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Transient, "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        // The same page is no answer to a question either.
        assert!(sink.inspect(None).await.is_err());
    }
}

#[tokio::test]
async fn an_hour_that_never_ends_is_taken_for_an_hour() {
    let hour = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "18446744073709551615")];
    let token = Token::new("new");
    for status in [StatusCode::CREATED, StatusCode::FORBIDDEN] {
        let sink = sink_at((status, hour)).await;
        let prepared = sink.prepare().await.unwrap();
        assert_eq!(prepared.writer.write(&token).await.is_ok(), status.is_success());
        // No request is left for the hour, so this one is not sent.
        let error = prepared.writer.write(&token).await.unwrap_err();
        let SinkErrorKind::RateLimited { retry_after } = error.kind() else { panic!("{error}") };
        assert!((3500..=3600).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
}
