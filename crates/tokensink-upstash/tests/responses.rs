//! Tests of the issuer with responses that the fake Upstash never sends.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokensink_core::{Environment, IssuerError, Secret, Token, TokenSource as _};
use tokensink_http::parse_base_url;
use tokensink_upstash::{
    ConnectError, IssuerSettings, Named, PastedToken, UpstashCredentials, UpstashIssuer,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Starts a server that sends the same response to every request. Returns its base URL.
async fn answering(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> String {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let response = (StatusCode::from_u16(status).unwrap(), headers, body.to_owned());
    let router = Router::new().fallback(move || {
        let response = response.clone();
        async move { response }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn pasted(urls: &str) -> PastedToken {
    let url = parse_base_url(urls).unwrap();
    PastedToken::new(&Secret::new("token"), Some(url), None, Duration::from_secs(5)).unwrap()
}

/// QStash's response to a probe with an accepted token.
const PARALLELISM: &str = r#"{"parallelismMax":100,"parallelismCount":0}"#;

async fn probed(
    status: u16,
    headers: &[(&'static str, &'static str)],
) -> Result<bool, IssuerError> {
    let url = answering(status, headers, PARALLELISM).await;
    pasted(&url).accepts(&Token::new("token")).await
}

#[tokio::test]
async fn the_status_of_a_probe_shows_whether_the_token_is_accepted() {
    assert!(probed(200, &[]).await.unwrap());
    assert!(!probed(401, &[]).await.unwrap());
    // The daily limit: the token is accepted.
    assert!(probed(429, &[("ratelimit-limit", "500")]).await.unwrap());
    let per_second =
        [("ratelimit-limit", "500"), ("burst-ratelimit-limit", "10"), ("retry-after", "7")];
    let retry_after = Some(Duration::from_secs(7));
    assert!(matches!(
        probed(429, &per_second).await,
        Err(IssuerError::Transient { retry_after: seen, .. }) if seen == retry_after
    ));
    assert!(matches!(probed(429, &[]).await, Err(IssuerError::Transient { .. })));
    assert!(matches!(probed(503, &[]).await, Err(IssuerError::Transient { .. })));
    for status in [302, 403, 404] {
        assert!(
            matches!(probed(status, &[]).await, Err(IssuerError::Permanent { .. })),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_success_of_another_server_is_not_an_accepted_token() {
    for (status, body) in [
        (200, "<html>sign in to the network</html>"),
        (200, ""),
        (204, ""),
        (200, "{}"),
        (200, "[100, 0]"),
        (200, "\"parallelismMax\""),
    ] {
        let url = answering(status, &[], body).await;
        let error = pasted(&url).accepts(&Token::new("token")).await.unwrap_err();
        let IssuerError::Permanent { message } = error else { panic!("{body}: {error}") };
        assert!(message.contains("127.0.0.1") && message.contains("`qstash_url`"), "{message}");
    }
}

#[tokio::test]
async fn a_404_means_a_token_of_another_region_only_with_the_error_of_qstash() {
    for (body, is_accepted) in [
        (r#"{"error":"user (u-1) not found in this region (eu-central-1)"}"#, Some(false)),
        (r#"{"error":"not found"}"#, None),
        ("not found in this region", None),
        ("<html>not found in this region</html>", None),
    ] {
        let url = answering(404, &[], body).await;
        let accepted = pasted(&url).accepts(&Token::new("token")).await;
        assert_eq!(accepted.ok(), is_accepted, "{body}");
    }
}

#[tokio::test]
async fn the_help_for_a_404_depends_on_the_request() {
    let error = connecting(404, r#"{"error":"no"}"#, None).await;
    assert!(error.contains("list the account's QStash: 127.0.0.1: 404"), "{error}");
    assert!(error.contains("`api_url`") && !error.contains("`id`"), "{error}");
    let error = failing_later(404).await.current().await.unwrap_err().to_string();
    assert!(error.contains("no longer in the account") && !error.contains("`id`"), "{error}");
}

#[tokio::test]
async fn a_retry_after_of_zero_becomes_one_second() {
    for status in [429, 503] {
        let url = answering(status, &[("retry-after", "0")], "").await;
        let error = pasted(&url).accepts(&Token::new("token")).await.unwrap_err();
        let IssuerError::Transient { retry_after, .. } = &error else { panic!("{error}") };
        assert_eq!(*retry_after, Some(Duration::from_secs(1)), "{status}");
    }
}

async fn connected(url: &str, region: Option<&str>) -> Result<UpstashIssuer, ConnectError> {
    let variables = [("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "a-key-of-some-length")];
    let environment: Environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let credentials =
        UpstashCredentials::find(&Named::default(), &environment, &|_| unreachable!()).unwrap();
    assert!(credentials.origin().contains("UPSTASH_EMAIL"));
    assert!(format!("{credentials:?}").contains("UPSTASH_EMAIL"));
    let settings = IssuerSettings {
        api_url: parse_base_url(url).unwrap(),
        qstash_url: None,
        id: None,
        region: region.map(str::to_owned),
        timeout: Duration::from_secs(5),
    };
    UpstashIssuer::connect(&credentials, &settings).await
}

async fn connecting(status: u16, body: &str, region: Option<&str>) -> String {
    match connected(&answering(status, &[], body).await, region).await {
        Ok(issuer) => format!("{issuer} {issuer:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn each_response_to_the_list_request_has_its_message() {
    let one = r#"{"id":"q1","region":"eu-central-1","token":"t"}"#;
    for (status, body, words) in [
        (200, format!("[{one}]"), "QStash q1 (eu-central-1) Upstash"),
        (200, "[]".to_owned(), "this account has no QStash"),
        (200, r#"[{"id":"","region":"eu-central-1","token":"t"}]"#.to_owned(), "without an id"),
        (200, r#"[{"id":"q","region":"../x","token":"t"}]"#.to_owned(), "qstash_url"),
        (200, "<html>".to_owned(), "does not have the documented form"),
        (302, String::new(), "a redirect is not followed"),
        (418, String::new(), "check `api_url` and any proxy in between"),
        (500, String::new(), "try again in a minute"),
        (408, String::new(), "try again in a minute"),
    ] {
        let error = connecting(status, &body, None).await;
        assert!(error.contains(words), "{status} {body}: {error}");
        assert_eq!([408, 500].contains(&status), error.contains("in a minute"), "{error}");
        assert_eq!(status == 302, error.contains("redirect"), "{error}");
    }
}

/// Starts a server that sends `bytes` and closes the connection. Returns its base URL.
async fn sending(bytes: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    url
}

#[tokio::test]
async fn the_error_for_an_unusable_response_names_the_host_and_a_next_step() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let too_long = "x".repeat(tokensink_http::MAX_BODY_BYTES + 1);
    for (url, words) in [
        (closed, "could not connect"),
        (sending(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{").await, "incomplete response"),
        (sending(b"not HTTP at all\r\n\r\n").await, "incomplete response"),
        (answering(200, &[], &too_long).await, "longer than 2 MB"),
        (answering(200, &[], "<html>").await, "does not have the documented form"),
        (answering(502, &[], "<html>").await, "502"),
        (answering(407, &[], "<html>").await, "407"),
    ] {
        let error = connected(&url, None).await.unwrap_err().to_string();
        let next = ["check `api_url`", "try again", "HTTPS_PROXY"];
        assert!(error.contains(words) && error.contains("127.0.0.1"), "{error}");
        assert!(next.iter().any(|step| error.contains(step)), "{error}");
        assert!(!error.contains('\n') && !error.contains(". "), "{error}");
    }
}

#[tokio::test]
async fn the_error_for_a_region_without_a_qstash_lists_the_others() {
    let one = r#"[{"id":"q1","region":"eu-central-1","token":"t"}]"#;
    let error = connecting(200, one, Some("us-east-1")).await;
    assert!(
        error.contains("no QStash in us-east-1; set `region`")
            && error.contains("q1 in eu-central-1"),
        "{error}"
    );
}

/// Connects to a server that lists one QStash and responds to every other request with `status`.
async fn failing_later(status: u16) -> UpstashIssuer {
    let one = r#"[{"id":"q1","region":"eu-central-1","token":"t"}]"#;
    let status = StatusCode::from_u16(status).unwrap();
    let router = Router::new()
        .route("/qstash/users", axum::routing::get(move || async move { one }))
        .fallback(move || async move { (status, [("retry-after", "3")]) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    connected(&url, None).await.unwrap()
}

#[tokio::test]
async fn transient_and_permanent_errors_are_distinguished() {
    for status in [500, 503, 504, 429, 408] {
        let error = failing_later(status).await.current().await.unwrap_err();
        let IssuerError::Transient { retry_after, .. } = &error else {
            panic!("{status}: {error}")
        };
        assert_eq!(*retry_after, Some(Duration::from_secs(3)), "{status}");
    }
    for status in [302, 400, 401, 403, 404] {
        let error = failing_later(status).await.current().await.unwrap_err();
        assert!(matches!(error, IssuerError::Permanent { .. }), "{status}: {error}");
    }
}

#[tokio::test]
async fn the_journal_key_of_a_pasted_token_names_its_host() {
    let url = answering(200, &[], PARALLELISM).await;
    assert_eq!(pasted(&url).id(), "pasted-127.0.0.1");
    let anywhere = PastedToken::new(&Secret::new("t"), None, None, Duration::from_secs(1)).unwrap();
    assert_eq!(anywhere.id(), "pasted-any");
    let regional =
        PastedToken::new(&Secret::new("t"), None, Some("us-east-1"), Duration::from_secs(1))
            .unwrap();
    assert_eq!(regional.id(), "pasted-qstash-us-east-1.upstash.io");
    assert!(anywhere.to_string().contains("pasted token"));
    assert!(
        PastedToken::new(&Secret::new("t"), None, Some("EU_1"), Duration::from_secs(1)).is_err()
    );
}
