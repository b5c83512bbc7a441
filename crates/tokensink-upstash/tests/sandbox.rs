//! The issuer against the stand-in for Upstash.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use tokensink_core::{Environment, ResetError, Token, TokenIssuer as _, TokenSource as _};
use tokensink_http::parse_base_url;
use tokensink_sandbox::{ResetFault, Upstash as StandIn};
use tokensink_upstash::{Credentials, Named, Settings, TokenKind, Upstash};

fn credentials(email: &str, api_key: &str) -> Credentials {
    let variables = [("UPSTASH_EMAIL", email), ("UPSTASH_API_KEY", api_key)];
    let environment: Environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    Credentials::find(&Named::default(), &environment, &|_| unreachable!()).unwrap()
}

fn settings(stand_in: &StandIn) -> Settings {
    Settings {
        api_url: parse_base_url(&stand_in.url()).unwrap(),
        qstash_url: Some(parse_base_url(&stand_in.qstash_url()).unwrap()),
        id: None,
        region: None,
        timeout: Duration::from_secs(5),
    }
}

async fn connected(stand_in: &StandIn) -> Upstash {
    let credentials = credentials(stand_in.email(), &stand_in.api_key());
    Upstash::connect(&credentials, &settings(stand_in)).await.unwrap()
}

#[tokio::test]
async fn a_reset_kills_the_old_token_and_brings_the_new_one() {
    let stand_in = StandIn::start().await.unwrap();
    let id = stand_in.add_user("eu-central-1");
    let issuer = connected(&stand_in).await;
    let before = issuer.current().await.unwrap();
    assert!(issuer.accepts(&before.token).await.unwrap());

    let after = issuer.reset().await.unwrap();
    assert_eq!(Some(after.token.expose()), stand_in.token(&id).as_deref());
    assert!(issuer.accepts(&after.token).await.unwrap());
    assert!(!issuer.accepts(&before.token).await.unwrap());
    assert_ne!(before.others, after.others, "the read-only token changed too");
    assert_eq!(stand_in.resets(&id), 1);
}

#[tokio::test]
async fn one_of_several_is_chosen_or_all_are_listed() {
    let stand_in = StandIn::start().await.unwrap();
    let credentials = credentials(stand_in.email(), &stand_in.api_key());
    let connect = |settings: Settings| {
        let credentials = credentials.clone();
        async move { Upstash::connect(&credentials, &settings).await }
    };
    let error = connect(settings(&stand_in)).await.unwrap_err().to_string();
    assert!(error.contains("no QStash"), "{error}");

    let (eu, us) = (stand_in.add_user("eu-central-1"), stand_in.add_user("us-east-1"));
    let error = connect(settings(&stand_in)).await.unwrap_err().to_string();
    assert!(error.contains(&eu) && error.contains(&us) && error.contains("`region`"), "{error}");
    let by = |id: Option<&str>, region: Option<&str>| Settings {
        id: id.map(str::to_owned),
        region: region.map(str::to_owned),
        ..settings(&stand_in)
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
async fn a_wrong_key_is_said_to_be_wrong_and_never_shown() {
    let stand_in = StandIn::start().await.unwrap();
    let wrong = credentials(stand_in.email(), "wrong-api-key-0123456789");
    let error = Upstash::connect(&wrong, &settings(&stand_in)).await.unwrap_err().to_string();
    assert!(error.contains("401") && error.contains("API key is wrong"), "{error}");
    assert!(!error.contains("wrong-api-key-0123456789"), "{error}");
}

#[tokio::test]
async fn every_answer_to_a_reset_is_understood() {
    let stand_in = StandIn::start().await.unwrap();
    let id = stand_in.add_user("eu-central-1");
    let issuer = connected(&stand_in).await;
    for (status, body, words) in [
        (401, r#"{"error":"bad"}"#, "API key is wrong"),
        (403, r#"{"message":"no"}"#, "sync --token-stdin"),
        (403, r#""Readonly API key cannot write""#, "read-only"),
        (404, r#"{"code":"x","message":"gone"}"#, "no longer in the account"),
        (429, r#"{"error":"slow down"}"#, "try again"),
        (400, r#""plain""#, "plain"),
    ] {
        stand_in.fail_next_reset(ResetFault::Refused(status, body));
        match issuer.reset().await.unwrap_err() {
            ResetError::Refused { message } => assert!(message.contains(words), "{message}"),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
    assert_eq!(stand_in.resets(&id), 0);
    for fault in [
        ResetFault::LostAnswer,
        ResetFault::NoTokenInAnswer,
        ResetFault::Nothing,
        ResetFault::Refused(200, "<html>"),
        ResetFault::Refused(200, r#"{"id":"another","token":"t"}"#),
        ResetFault::Refused(302, ""),
        ResetFault::Refused(408, r#"{"error":"late"}"#),
        // A proxy's own, maybe after it let the request through.
        ResetFault::Refused(403, "<html>blocked</html>"),
        ResetFault::Refused(403, ""),
        ResetFault::Refused(429, "slow down"),
        ResetFault::Refused(407, r#"{"blocked":true,"message":7}"#),
        ResetFault::Refused(400, r#"["error"]"#),
    ] {
        stand_in.fail_next_reset(fault.clone());
        let error = issuer.reset().await.unwrap_err();
        let ResetError::OutcomeUnknown { message } = error else { panic!("{fault:?}: {error:?}") };
        assert!(message.contains("127.0.0.1"), "{fault:?}: {message}");
        let is_strange = matches!(fault, ResetFault::Refused(400 | 403 | 407 | 429, _));
        assert_eq!(message.contains("not how Upstash refuses"), is_strange, "{message}");
    }
}

#[tokio::test]
async fn a_reset_that_never_left_is_known_to_have_never_left() {
    let stand_in = StandIn::start().await.unwrap();
    stand_in.add_user("eu-central-1");
    let issuer = connected(&stand_in).await;
    drop(stand_in);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = issuer.reset().await.unwrap_err();
    let ResetError::NotSent { message } = error else { panic!("{error:?}") };
    assert!(message.contains("127.0.0.1") && message.contains("try again"), "{message}");
}

#[tokio::test]
async fn a_token_of_another_region_is_not_accepted() {
    let stand_in = StandIn::start().await.unwrap();
    let (eu, us) = (stand_in.add_user("eu-central-1"), stand_in.add_user("us-east-1"));
    stand_in.serve_only("us-east-1");
    let settings = Settings { id: Some(eu), ..settings(&stand_in) };
    let credentials = credentials(stand_in.email(), &stand_in.api_key());
    let issuer = Upstash::connect(&credentials, &settings).await.unwrap();
    let theirs = issuer.current().await.unwrap().token;
    assert!(!issuer.accepts(&theirs).await.unwrap());
    assert_eq!(stand_in.qstash_requests().last().map(|request| request.status), Some(404));
    let ours = Token::new(stand_in.token(&us).unwrap());
    assert!(issuer.accepts(&ours).await.unwrap());
}

#[tokio::test]
async fn the_account_tells_a_read_only_token_from_a_full_one() {
    let stand_in = StandIn::start().await.unwrap();
    let (eu, us) = (stand_in.add_user("eu-central-1"), stand_in.add_user("us-east-1"));
    let credentials = credentials(stand_in.email(), &stand_in.api_key());
    let region = "us-east-1".to_owned();
    for (token, kind) in [
        (stand_in.token(&eu).unwrap(), TokenKind::Full),
        (stand_in.read_only_token(&us).unwrap(), TokenKind::ReadOnly { id: us, region }),
        ("eyJ9".to_owned(), TokenKind::NotOfTheAccount),
    ] {
        let found = Upstash::kind_of(&Token::new(token), &credentials, &settings(&stand_in)).await;
        assert_eq!(found.unwrap(), kind);
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_accepted() {
    let stand_in = StandIn::start().await.unwrap();
    stand_in.add_user("eu-central-1");
    let issuer = connected(&stand_in).await;
    assert!(!issuer.accepts(&Token::new("two\nlines")).await.unwrap());
}
