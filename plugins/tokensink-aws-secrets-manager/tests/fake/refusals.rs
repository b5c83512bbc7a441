//! Tests of refusals, transient errors and their messages.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokensink_core::{BuildContext, Environment, HostPolicy, Registry, SinkErrorKind, Token};
use tokensink_sandbox::Aws;

use crate::{NAME, build, json_sink, operations, refusal, sink, sink_at};

#[tokio::test]
async fn the_error_for_an_unwritable_secret_has_its_reason() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "not json");
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::Rejected && words.contains("not a JSON object"), "{words}");
    aws.put_externally(NAME, "{}");
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::NotFound && words.contains("no key `T`"), "{words}");
    aws.delete(NAME);
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::Rejected && words.contains("scheduled for deletion"), "{words}");
    let stranger = sink_at(&aws.url(), "AKIDOTHER", json!({}));
    let (kind, words) = refusal(stranger.as_ref()).await;
    assert!(
        kind == SinkErrorKind::PermissionDenied && words.contains("credentials are wrong"),
        "{words}"
    );
}

#[tokio::test]
async fn a_secret_of_another_service_or_region_is_refused_before_any_write() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    // The primary secret has its own region as the primary region.
    aws.make_replica_of(NAME, "eu-central-1");
    sink(&aws, json!({})).prepare().await.unwrap();
    aws.make_replica_of(NAME, "us-east-1");
    let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(kind == SinkErrorKind::Rejected && words.contains("replica"), "{words}");
    assert!(words.contains("set `region = \"us-east-1\"`"), "{words}");
    aws.hand_over_to(NAME, "rds");
    let before = operations(&aws).len();
    let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(kind == SinkErrorKind::Rejected && words.contains("managed by rds"), "{words}");
    assert_eq!(operations(&aws)[before..], ["DescribeSecret"]);
    assert_eq!(aws.versions(NAME), 1);
}

#[tokio::test]
async fn a_secret_without_room_for_a_token_is_refused_before_the_reset() {
    let aws = Aws::start().await.unwrap();
    let value = |token: &str, filling: usize| {
        json!({"T": token, "U": "", "filling": "-".repeat(filling)}).to_string()
    };
    let both = || sink(&aws, json!({"json_keys": ["T", "U"]}));
    for token in ["old".to_owned(), "o".repeat(1500)] {
        // The new token is assumed to be as long as the old one, with a minimum.
        let room = token.len().max(1024);
        let most = 65_536 - value("", 0).len() - 2 * room;
        aws.put_externally(NAME, &value(&token, most));
        let prepared = both().prepare().await.unwrap();
        aws.put_externally(NAME, &value(&token, most + 1));
        let (kind, words) = refusal(both().as_ref()).await;
        assert!(kind == SinkErrorKind::Rejected && words.contains("64 KB"), "{words}");
        prepared.writer.write(&Token::new("n".repeat(room))).await.unwrap();
    }
    let prepared = both().prepare().await.unwrap();
    let error = prepared.writer.write(&Token::new("n".repeat(2000))).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Rejected);
}

/// Starts a server that sends the same response to every request. Returns its base URL.
async fn answering(status: StatusCode, body: &str) -> String {
    let body = body.to_owned();
    let router = axum::Router::new().fallback(move || {
        let body = body.clone();
        async move { (status, body) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn secrets_that_a_server_echoes_are_not_shown() {
    let (key, session) = ("secret-access-key", "session/token");
    let unknown = "IQoJb3JpZ2luX2VjEAcaCWV1LWNlbnRyYWwtMSJHMEUCIQ";
    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/qstash-AbCdEf";
    let said = format!("the string was '{key} {session} {unknown}' for {arn} {}", "x ".repeat(200));
    let body = json!({"__type": "InvalidSignatureException", "message": said}).to_string();
    let url = answering(StatusCode::BAD_REQUEST, &body).await;
    let table = json!({"secret_id": NAME, "region": "eu-central-1", "endpoint_url": url});
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("AWS_SESSION_TOKEN", session),
    ];
    let sink = build(table, &variables).unwrap().remove(0);
    let (kind, words) = refusal(sink.as_ref()).await;
    assert_eq!(kind, SinkErrorKind::PermissionDenied);
    let shown = "'[redacted] [redacted] [redacted]'";
    assert!(words.contains(shown) && words.contains(arn), "{words}");
    assert!(words.contains("InvalidSignatureException") && words.len() < 500, "{words}");
}

#[tokio::test]
async fn a_response_without_an_error_code_is_classified_by_its_status() {
    for (status, kind) in [
        // The write may have taken effect.
        (StatusCode::OK, SinkErrorKind::Transient),
        (StatusCode::FORBIDDEN, SinkErrorKind::PermissionDenied),
        (StatusCode::BAD_GATEWAY, SinkErrorKind::Transient),
    ] {
        let body = "<ErrorResponse><Code>AccessDenied</Code></ErrorResponse>";
        let url = answering(status, body).await;
        let (seen, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
        assert_eq!(seen, kind, "{words}");
    }
}

#[tokio::test]
async fn an_unknown_error_code_is_classified_by_its_status() {
    for (status, code, kind) in [
        (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", SinkErrorKind::Transient),
        (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", SinkErrorKind::Transient),
        (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", SinkErrorKind::Transient),
        (StatusCode::BAD_REQUEST, "RequestTimeout", SinkErrorKind::Transient),
        (StatusCode::BAD_REQUEST, "RequestAbortedException", SinkErrorKind::Transient),
        (StatusCode::FORBIDDEN, "OptInRequired", SinkErrorKind::PermissionDenied),
        (StatusCode::BAD_REQUEST, "ValidationException", SinkErrorKind::Other),
    ] {
        let body = json!({"__type": code, "message": "said so"}).to_string();
        let url = answering(status, &body).await;
        let (seen, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
        assert_eq!(seen, kind, "{words}");
        assert!(words.contains(&format!("{code}: said so")), "{words}");
    }
    for code in ["SlowDown", "RequestLimitExceeded"] {
        let body = json!({"__type": code, "message": "said so"}).to_string();
        let url = answering(StatusCode::BAD_REQUEST, &body).await;
        let (seen, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
        assert!(matches!(seen, SinkErrorKind::RateLimited { .. }), "{words}");
    }
}

#[tokio::test]
async fn the_timeout_of_a_table_does_not_affect_other_tables() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let keys = [("AWS_ACCESS_KEY_ID", aws.access_key_id()), ("AWS_SECRET_ACCESS_KEY", "any")];
    let variables = keys.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = BuildContext::new("/", Environment::from_iter(variables))
        .with_hosts(HostPolicy::allowing(["127.0.0.1"]));
    let table = json!({"secret_id": NAME, "region": "eu-central-1", "endpoint_url": aws.url()});
    let factory = Registry::linked().unwrap().get("aws-secrets-manager").unwrap();
    let built = |context: &BuildContext| {
        factory.build(table.as_object().unwrap().clone(), context).unwrap().remove(0)
    };
    let impatient = built(&context.with_attempt_timeout(Duration::from_nanos(1)));
    let (kind, words) = refusal(impatient.as_ref()).await;
    assert!(kind == SinkErrorKind::Transient && words.contains("no response in time"), "{words}");
    built(&context).prepare().await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_is_transient_and_names_the_host() {
    let aws = Aws::start().await.unwrap();
    let url = aws.url();
    drop(aws);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (kind, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
    assert_eq!(kind, SinkErrorKind::Transient, "{words}");
    assert!(words.contains("describe the secret at 127.0.0.1:"), "{words}");
    assert!(words.contains("check the network") && words.contains("`endpoint_url`"), "{words}");
}

#[tokio::test]
async fn an_endpoint_from_a_variable_is_safe_and_named_by_its_host() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let table = json!({"secret_id": NAME, "region": "eu-central-1"});
    let set = |name: &'static str, url: &str, more: &[(&str, &str)]| {
        let keys = [
            ("AWS_ACCESS_KEY_ID", aws.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            (name, url),
        ];
        build(table.clone(), &[&keys, more].concat())
    };
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        let warnings = set(name, &aws.url(), &[]).unwrap()[0].prepare().await.unwrap().warnings;
        let host = aws.url().replace("http://", "");
        assert_eq!(warnings, [format!("{name} sends it to {host}")]);
        for (url, words) in [
            ("http://10.0.0.1:4566/x", "in the clear"),
            ("https://me:hunter2@localstack.example", "contains credentials"),
            ("https://me:hunter2@", "is not a URL"),
            ("localstack", "is not a URL"),
        ] {
            let errors = set(name, url, &[]).unwrap_err();
            let said = errors[0].to_string();
            assert_eq!(errors[0].kind(), SinkErrorKind::Config, "{said}");
            assert!(said.contains(name) && said.contains(words), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
            // The variable disables the endpoint variables.
            let ignored = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
            assert!(set(name, url, &ignored).is_ok(), "{url}");
        }
    }
    let kept = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")];
    set("AWS_ENDPOINT_URL", &aws.url(), &kept).unwrap()[0].prepare().await.unwrap();
}

#[tokio::test]
async fn blanks_around_a_credential_are_ignored() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let id = format!("{}\r", aws.access_key_id());
    let variables = [
        ("AWS_ACCESS_KEY_ID", id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", " any\n"),
        ("AWS_SESSION_TOKEN", "session\r"),
        ("AWS_REGION", "eu-central-1\n"),
    ];
    let table = json!({"secret_id": NAME, "endpoint_url": aws.url()});
    build(table, &variables).unwrap()[0].prepare().await.unwrap();
}

#[tokio::test]
async fn each_error_code_has_its_error_kind() {
    for (status, code, kind) in [
        (StatusCode::CONFLICT, "OperationAborted", SinkErrorKind::Conflict),
        (StatusCode::BAD_REQUEST, "ResourceExistsException", SinkErrorKind::Conflict),
        (StatusCode::BAD_REQUEST, "InternalServiceError", SinkErrorKind::Transient),
        (StatusCode::GATEWAY_TIMEOUT, "Anything", SinkErrorKind::Transient),
    ] {
        let body = json!({"__type": code, "message": "reason"}).to_string();
        let url = answering(status, &body).await;
        let (seen, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
        assert_eq!(seen, kind, "{words}");
    }
    for (status, code) in [
        (StatusCode::BAD_REQUEST, "ThrottlingException"),
        (StatusCode::TOO_MANY_REQUESTS, "Anything"),
    ] {
        let body = json!({"__type": code, "message": "reason"}).to_string();
        let url = answering(status, &body).await;
        let (seen, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
        let SinkErrorKind::RateLimited { retry_after } = seen else { panic!("{words}") };
        assert!(retry_after >= Duration::from_secs(1));
    }
}
