//! Tests with undocumented responses and with those of proxies and gateways.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokensink_core::{Receipt, SinkError, SinkErrorKind, Token, TokenSink};
use tokensink_github_actions as _;

/// The 32 bytes of a public key.
const KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

/// Starts a server that accepts every preparation and responds with `of_secret` to every request for
/// the secret itself.
async fn serve(of_secret: impl Fn(Method) -> Response + Clone + Send + Sync + 'static) -> String {
    let router = Router::new().fallback(move |method: Method, uri: Uri| async move {
        let document = match uri.path().rsplit('/').next().unwrap() {
            "api" => json!({"id": 1, "full_name": "acme/api"}),
            "secrets" => json!({"total_count": 0, "secrets": []}),
            "public-key" => json!({"key_id": "1", "key": KEY}),
            _ => return of_secret(method),
        };
        assert_eq!(method, Method::GET);
        axum::Json::<Value>(document).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn build(mut table: Value, url: &str) -> Box<dyn TokenSink> {
    table["api_url"] = json!(url);
    tokensink_testkit::build("github-actions", table, &[("GH_TOKEN", "any")]).unwrap().remove(0)
}

async fn sink_at(
    of_secret: impl IntoResponse + Clone + Send + Sync + 'static,
) -> Box<dyn TokenSink> {
    let url = serve(move |_| of_secret.clone().into_response()).await;
    build(json!({"repositories": ["acme/api"]}), &url)
}

async fn refused_write(response: impl IntoResponse + Clone + Send + Sync + 'static) -> SinkError {
    let preparation = sink_at(response).await.prepare().await.unwrap();
    preparation.writer.write(&Token::new("new")).await.unwrap_err()
}

#[tokio::test]
async fn only_a_documented_response_acknowledges_a_write() {
    let (token, page) = (Token::new("new"), "<html>welcome</html>");
    for status in [StatusCode::CREATED, StatusCode::NO_CONTENT] {
        let preparation = sink_at(status).await.prepare().await.unwrap();
        assert!(preparation.writer.write(&token).await.unwrap().get("written_at").is_some());
    }
    for status in [StatusCode::OK, StatusCode::ACCEPTED] {
        let sink = sink_at((status, page)).await;
        // The write may have taken effect, and it may be repeated.
        let error = sink.prepare().await.unwrap().writer.write(&token).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Transient, "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        // The same page is not accepted as the document of a secret either.
        assert!(sink.inspect(None).await.is_err());
    }
}

#[tokio::test]
async fn each_status_has_its_error_kind() {
    for (status, kind) in [
        (401, SinkErrorKind::PermissionDenied),
        (403, SinkErrorKind::PermissionDenied),
        (404, SinkErrorKind::NotFound),
        (407, SinkErrorKind::PermissionDenied),
        (408, SinkErrorKind::Transient),
        (409, SinkErrorKind::Conflict),
        (422, SinkErrorKind::Rejected),
        (500, SinkErrorKind::Transient),
        (503, SinkErrorKind::Transient),
        (307, SinkErrorKind::Conflict),
        (418, SinkErrorKind::Other),
    ] {
        let error = refused_write(StatusCode::from_u16(status).unwrap()).await;
        assert_eq!(error.kind(), kind, "{status} {error}");
    }
    let help = refused_write(StatusCode::PROXY_AUTHENTICATION_REQUIRED).await;
    assert!(help.help().unwrap().contains("HTTPS_PROXY"), "{:?}", help.help());
}

#[tokio::test]
async fn the_pause_for_the_hourly_quota_is_at_most_an_hour() {
    let hour = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "18446744073709551615")];
    let token = Token::new("new");
    for status in [StatusCode::CREATED, StatusCode::FORBIDDEN] {
        let sink = sink_at((status, hour)).await;
        let preparation = sink.prepare().await.unwrap();
        assert_eq!(preparation.writer.write(&token).await.is_ok(), status.is_success());
        // No request is left in the hour, so this one is not sent.
        let error = preparation.writer.write(&token).await.unwrap_err();
        let SinkErrorKind::RateLimited { retry_after } = error.kind() else { panic!("{error}") };
        assert!((3500..=3600).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
}

#[tokio::test]
async fn only_a_url_at_githubs_own_host_is_shown_for_a_saml_challenge() {
    let help = async |challenge: &'static str| {
        let error = refused_write((StatusCode::FORBIDDEN, [("x-github-sso", challenge)])).await;
        assert_eq!(error.kind(), SinkErrorKind::PermissionDenied, "{challenge}");
        error.help().unwrap().to_owned()
    };
    for shown in ["https://github.com/orgs/acme/sso?authorization_request=A1", "https://127.0.0.1/"]
    {
        let challenge = format!("required; url={shown}").leak();
        assert!(help(challenge).await.ends_with(shown), "{challenge}");
    }
    for hidden in [
        "required; url=https://evil.example/orgs/acme/sso",
        "required; url=https://github.com.evil.example/",
        "required; url=https://github.com@evil.example/",
        "required; url=https://me:pw@github.com/",
        "required; url=https://github.com:8443/",
        "required; url=http://github.com/",
        "required; url=javascript:alert(1)",
        "required; https://github.com/",
        "required",
        "partial-results; organizations=1,2",
        "",
    ] {
        assert_eq!(
            help(hidden).await,
            "give the GitHub token this permission: write access to secrets",
            "{hidden}"
        );
    }
}

#[tokio::test]
async fn a_visibility_that_cannot_be_read_after_the_write_is_reported_as_not_confirmed() {
    let reads = Arc::new(AtomicUsize::new(0));
    let url = serve(move |method| {
        if method == Method::PUT {
            return StatusCode::NO_CONTENT.into_response();
        }
        // The preparation's and the one before the write.
        match reads.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => axum::Json(json!({"visibility": "all"})).into_response(),
            _ => StatusCode::BAD_GATEWAY.into_response(),
        }
    })
    .await;
    let sink = build(json!({"organization": "acme"}), &url);
    let receipt = sink.prepare().await.unwrap().writer.write(&Token::new("new")).await.unwrap();
    let visibility = receipt.get(Receipt::WARNING).unwrap();
    assert!(
        visibility.starts_with("cannot confirm the visibility: cannot read the visibility"),
        "{visibility}"
    );
    assert!(receipt.get("written_at").is_some());
}

#[tokio::test]
async fn a_visibility_that_changes_at_every_write_is_a_conflict() {
    let reads = Arc::new(AtomicUsize::new(0));
    let url = serve(move |method| {
        if method == Method::PUT {
            return StatusCode::NO_CONTENT.into_response();
        }
        let number = reads.fetch_add(1, Ordering::Relaxed);
        axum::Json(json!({"visibility": format!("kind {number}")})).into_response()
    })
    .await;
    let sink = build(json!({"organization": "acme"}), &url);
    let error = sink.prepare().await.unwrap().writer.write(&Token::new("new")).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Conflict, "{error}");
}
