//! Tests of the issuer with the fake Upstash.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use tokensink_core::{Environment, ResetError, Token, TokenIssuer as _, TokenSource as _};
use tokensink_http::parse_base_url;
use tokensink_sandbox::{ResetFault, Upstash as FakeUpstash};
use tokensink_upstash::{IssuerSettings, Named, TokenKind, UpstashCredentials, UpstashIssuer};

fn credentials(email: &str, api_key: &str) -> UpstashCredentials {
    let variables = [("UPSTASH_EMAIL", email), ("UPSTASH_API_KEY", api_key)];
    let environment: Environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    UpstashCredentials::find(&Named::default(), &environment, &|_| unreachable!()).unwrap()
}

fn settings(upstash: &FakeUpstash) -> IssuerSettings {
    IssuerSettings {
        api_url: parse_base_url(&upstash.url()).unwrap(),
        qstash_url: Some(parse_base_url(&upstash.qstash_url()).unwrap()),
        id: None,
        region: None,
        timeout: Duration::from_secs(5),
    }
}

async fn connected(upstash: &FakeUpstash) -> UpstashIssuer {
    let credentials = credentials(upstash.email(), &upstash.api_key());
    UpstashIssuer::connect(&credentials, &settings(upstash)).await.unwrap()
}

#[tokio::test]
async fn a_reset_revokes_the_old_token_and_returns_the_new_one() {
    let upstash = FakeUpstash::start().await.unwrap();
    let id = upstash.add_user("eu-central-1");
    let issuer = connected(&upstash).await;
    let before = issuer.current().await.unwrap();
    assert!(issuer.accepts(&before.token).await.unwrap());

    let after = issuer.reset().await.unwrap();
    assert_eq!(Some(after.token.expose()), upstash.token(&id).as_deref());
    assert!(issuer.accepts(&after.token).await.unwrap());
    assert!(!issuer.accepts(&before.token).await.unwrap());
    assert_ne!(before.others, after.others, "the read-only token changed too");
    assert_eq!(upstash.resets(&id), 1);
}

#[tokio::test]
async fn a_qstash_is_chosen_by_id_or_region_else_all_are_listed() {
    let upstash = FakeUpstash::start().await.unwrap();
    let credentials = credentials(upstash.email(), &upstash.api_key());
    let connect = |settings: IssuerSettings| {
        let credentials = credentials.clone();
        async move { UpstashIssuer::connect(&credentials, &settings).await }
    };
    let error = connect(settings(&upstash)).await.unwrap_err().to_string();
    assert!(error.contains("no QStash"), "{error}");

    let (eu, us) = (upstash.add_user("eu-central-1"), upstash.add_user("us-east-1"));
    let error = connect(settings(&upstash)).await.unwrap_err().to_string();
    assert!(error.contains(&eu) && error.contains(&us) && error.contains("`region`"), "{error}");
    let by = |id: Option<&str>, region: Option<&str>| IssuerSettings {
        id: id.map(str::to_owned),
        region: region.map(str::to_owned),
        ..settings(&upstash)
    };
    assert_eq!(connect(by(None, Some("us-east-1"))).await.unwrap().id(), us);
    assert_eq!(connect(by(Some(&eu), None)).await.unwrap().id(), eu);
    assert_eq!(connect(by(Some(&eu), Some("eu-central-1"))).await.unwrap().id(), eu);
    let error = connect(by(Some(&eu), Some("us-east-1"))).await.unwrap_err().to_string();
    assert!(error.contains(&format!("id {eu} is in eu-central-1, not in us-east-1")), "{error}");
    let error = connect(by(Some("no-such-id"), None)).await.unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("leave `id` out"), "{error}");
}

#[tokio::test]
async fn the_error_for_a_wrong_key_does_not_show_it() {
    let upstash = FakeUpstash::start().await.unwrap();
    let wrong = credentials(upstash.email(), "wrong-api-key-0123456789");
    let error = UpstashIssuer::connect(&wrong, &settings(&upstash)).await.unwrap_err().to_string();
    assert!(error.contains("401") && error.contains("API key is wrong"), "{error}");
    assert!(!error.contains("wrong-api-key-0123456789"), "{error}");
}

#[tokio::test]
async fn only_an_error_document_of_upstash_proves_that_nothing_was_reset() {
    let upstash = FakeUpstash::start().await.unwrap();
    let id = upstash.add_user("eu-central-1");
    let issuer = connected(&upstash).await;
    for (status, body, words) in [
        (401, r#"{"error":"bad"}"#, "API key is wrong"),
        (403, r#"{"message":"no"}"#, "sync --token-stdin"),
        (403, r#""Readonly API key cannot write""#, "read-only"),
        (404, r#"{"code":"x","message":"gone"}"#, "no longer in the account"),
        (429, r#"{"error":"slow down"}"#, "try again"),
        (400, r#""plain""#, "plain"),
    ] {
        upstash.fail_next_reset(ResetFault::Refused(status, body));
        match issuer.reset().await.unwrap_err() {
            ResetError::Refused { message } => assert!(message.contains(words), "{message}"),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
    assert_eq!(upstash.resets(&id), 0);
    for fault in [
        ResetFault::ResponseLost,
        ResetFault::NoTokenInResponse,
        ResetFault::NoEffect,
        ResetFault::Refused(200, "<html>"),
        ResetFault::Refused(200, r#"{"id":"another","token":"t"}"#),
        ResetFault::Refused(302, ""),
        ResetFault::Refused(408, r#"{"error":"late"}"#),
        // Errors of a proxy, which may have forwarded the request.
        ResetFault::Refused(403, "<html>blocked</html>"),
        ResetFault::Refused(403, ""),
        ResetFault::Refused(429, "slow down"),
        ResetFault::Refused(407, r#"{"blocked":true,"message":7}"#),
        ResetFault::Refused(400, r#"["error"]"#),
    ] {
        upstash.fail_next_reset(fault.clone());
        let error = issuer.reset().await.unwrap_err();
        let ResetError::OutcomeUnknown { message } = error else { panic!("{fault:?}: {error:?}") };
        assert!(message.contains("127.0.0.1"), "{fault:?}: {message}");
        let is_strange = matches!(fault, ResetFault::Refused(400 | 403 | 407 | 429, _));
        assert_eq!(message.contains("not an error of Upstash"), is_strange, "{message}");
    }
}

#[tokio::test]
async fn a_reset_without_a_connection_is_reported_as_not_sent() {
    let upstash = FakeUpstash::start().await.unwrap();
    upstash.add_user("eu-central-1");
    let issuer = connected(&upstash).await;
    drop(upstash);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = issuer.reset().await.unwrap_err();
    let ResetError::NotSent { message } = error else { panic!("{error:?}") };
    assert!(message.contains("127.0.0.1") && message.contains("try again"), "{message}");
}

#[tokio::test]
async fn a_token_of_another_region_is_not_accepted() {
    let upstash = FakeUpstash::start().await.unwrap();
    let (eu, us) = (upstash.add_user("eu-central-1"), upstash.add_user("us-east-1"));
    upstash.serve_only("us-east-1");
    let settings = IssuerSettings { id: Some(eu), ..settings(&upstash) };
    let credentials = credentials(upstash.email(), &upstash.api_key());
    let issuer = UpstashIssuer::connect(&credentials, &settings).await.unwrap();
    let theirs = issuer.current().await.unwrap().token;
    assert!(!issuer.accepts(&theirs).await.unwrap());
    assert_eq!(upstash.qstash_requests().last().map(|request| request.status), Some(404));
    let ours = Token::new(upstash.token(&us).unwrap());
    assert!(issuer.accepts(&ours).await.unwrap());
}

#[tokio::test]
async fn the_account_distinguishes_a_read_only_token_from_a_full_one() {
    let upstash = FakeUpstash::start().await.unwrap();
    let (eu, us) = (upstash.add_user("eu-central-1"), upstash.add_user("us-east-1"));
    let credentials = credentials(upstash.email(), &upstash.api_key());
    let region = "us-east-1".to_owned();
    for (token, kind) in [
        (upstash.token(&eu).unwrap(), TokenKind::Full),
        (upstash.read_only_token(&us).unwrap(), TokenKind::ReadOnly { id: us, region }),
        ("eyJ9".to_owned(), TokenKind::NotOfTheAccount),
    ] {
        let found =
            UpstashIssuer::kind_of(&Token::new(token), &credentials, &settings(&upstash)).await;
        assert_eq!(found.unwrap(), kind);
    }
}

#[tokio::test]
async fn a_token_that_is_not_a_valid_header_value_is_not_accepted() {
    let upstash = FakeUpstash::start().await.unwrap();
    upstash.add_user("eu-central-1");
    let issuer = connected(&upstash).await;
    assert!(!issuer.accepts(&Token::new("two\nlines")).await.unwrap());
}
