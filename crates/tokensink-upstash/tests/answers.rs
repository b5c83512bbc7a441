//! The issuer against answers that the stand-in never gives.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokensink_core::{Environment, IssuerError, Secret, Token, TokenSource as _};
use tokensink_http::parse_base_url;
use tokensink_upstash::{ConnectError, Credentials, Named, PastedToken, Settings, Upstash};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A server that answers everything alike. Returns its base URL.
async fn answering(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> String {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let answer = (StatusCode::from_u16(status).unwrap(), headers, body.to_owned());
    let router = Router::new().fallback(move || {
        let answer = answer.clone();
        async move { answer }
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

/// What QStash answers to the probe.
const PARALLELISM: &str = r#"{"parallelismMax":100,"parallelismCount":0}"#;

async fn probed(
    status: u16,
    headers: &[(&'static str, &'static str)],
) -> Result<bool, IssuerError> {
    let url = answering(status, headers, PARALLELISM).await;
    pasted(&url).accepts(&Token::new("token")).await
}

#[tokio::test]
async fn each_answer_to_the_probe_means_something() {
    assert!(probed(200, &[]).await.unwrap());
    assert!(!probed(401, &[]).await.unwrap());
    // Known, but out of messages for today.
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
async fn a_success_that_is_not_of_qstash_accepts_no_token() {
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
async fn a_token_of_another_region_is_not_accepted_by_a_404() {
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
async fn the_advice_about_a_404_fits_the_request() {
    let said = connecting(404, r#"{"error":"no"}"#, None).await;
    assert!(said.contains("list the account's QStash: 127.0.0.1: 404"), "{said}");
    assert!(said.contains("`api_url`") && !said.contains("`id`"), "{said}");
    let said = failing_later(404).await.current().await.unwrap_err().to_string();
    assert!(said.contains("no longer in the account") && !said.contains("`id`"), "{said}");
}

#[tokio::test]
async fn a_retry_after_of_zero_is_a_pause() {
    for status in [429, 503] {
        let url = answering(status, &[("retry-after", "0")], "").await;
        let error = pasted(&url).accepts(&Token::new("token")).await.unwrap_err();
        let IssuerError::Transient { retry_after, .. } = &error else { panic!("{error}") };
        assert_eq!(*retry_after, Some(Duration::from_secs(1)), "{status}");
    }
}

async fn connected(url: &str, region: Option<&str>) -> Result<Upstash, ConnectError> {
    let variables = [("UPSTASH_EMAIL", "e@x"), ("UPSTASH_API_KEY", "a-key-of-some-length")];
    let environment: Environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let credentials =
        Credentials::find(&Named::default(), &environment, &|_| unreachable!()).unwrap();
    assert!(credentials.origin().contains("UPSTASH_EMAIL"));
    assert!(format!("{credentials:?}").contains("UPSTASH_EMAIL"));
    let settings = Settings {
        api_url: parse_base_url(url).unwrap(),
        qstash_url: None,
        id: None,
        region: region.map(str::to_owned),
        timeout: Duration::from_secs(5),
    };
    Upstash::connect(&credentials, &settings).await
}

async fn connecting(status: u16, body: &str, region: Option<&str>) -> String {
    match connected(&answering(status, &[], body).await, region).await {
        Ok(issuer) => format!("{issuer} {issuer:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn each_answer_to_the_list_is_told_apart() {
    let one = r#"{"id":"q1","region":"eu-central-1","token":"t"}"#;
    for (status, body, words) in [
        (200, format!("[{one}]"), "QStash q1 (eu-central-1) Upstash"),
        (200, "[]".to_owned(), "this account has no QStash"),
        (200, r#"[{"id":"","region":"eu-central-1","token":"t"}]"#.to_owned(), "names no id"),
        (200, r#"[{"id":"q","region":"../x","token":"t"}]"#.to_owned(), "qstash_url"),
        (200, "<html>".to_owned(), "not what is documented"),
        (302, String::new(), "a redirect is not followed"),
        (418, String::new(), "see `api_url` and what stands in between"),
        (500, String::new(), "try again in a minute"),
        (408, String::new(), "try again in a minute"),
    ] {
        let said = connecting(status, &body, None).await;
        assert!(said.contains(words), "{status} {body}: {said}");
        assert_eq!([408, 500].contains(&status), said.contains("in a minute"), "{said}");
        assert_eq!(status == 302, said.contains("redirect"), "{said}");
    }
}

/// A server that sends these bytes and closes. Returns its base URL.
async fn saying(bytes: &'static [u8]) -> String {
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
async fn no_usable_answer_names_the_host_and_a_next_step() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let too_long = "x".repeat(tokensink_http::MAX_BODY_BYTES + 1);
    for (url, words) in [
        (nobody, "could not connect"),
        (saying(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{").await, "no whole answer"),
        (saying(b"not HTTP at all\r\n\r\n").await, "no whole answer"),
        (answering(200, &[], &too_long).await, "longer than 2 MB"),
        (answering(200, &[], "<html>").await, "not what is documented"),
        (answering(502, &[], "<html>").await, "502"),
        (answering(407, &[], "<html>").await, "407"),
    ] {
        let said = connected(&url, None).await.unwrap_err().to_string();
        let next = ["see `api_url`", "try again", "HTTPS_PROXY"];
        assert!(said.contains(words) && said.contains("127.0.0.1"), "{said}");
        assert!(next.iter().any(|step| said.contains(step)), "{said}");
        assert!(!said.contains('\n') && !said.contains(". "), "{said}");
    }
}

#[tokio::test]
async fn a_region_without_a_qstash_lists_those_that_have_one() {
    let one = r#"[{"id":"q1","region":"eu-central-1","token":"t"}]"#;
    let said = connecting(200, one, Some("us-east-1")).await;
    assert!(
        said.contains("no QStash in us-east-1; set `region`")
            && said.contains("q1 in eu-central-1"),
        "{said}"
    );
}

/// Lists one QStash, and answers every question about it with `status`.
async fn failing_later(status: u16) -> Upstash {
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
async fn what_may_pass_is_told_from_what_stays() {
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
async fn a_pasted_token_is_named_by_its_host_and_tried_at_each() {
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
