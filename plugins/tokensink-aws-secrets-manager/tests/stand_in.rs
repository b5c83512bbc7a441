//! The sink against the stand-in for AWS Secrets Manager.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokensink_aws_secrets_manager as _;
use tokensink_core::{
    BuildContext, Environment, Holds, Readiness, Registry, SinkError, SinkErrorKind, Token,
    TokenSink,
};
use tokensink_sandbox::Aws;

const NAME: &str = "prod/qstash";

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("aws-secrets-manager", table, variables)
}

fn sink_at(url: &str, key_id: &str, mut table: Value) -> Box<dyn TokenSink> {
    table["secret_id"] = json!(NAME);
    table["region"] = json!("eu-central-1");
    table["endpoint_url"] = json!(url);
    let keys = [("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", "any")];
    build(table, &keys).unwrap().remove(0)
}

fn sink(aws: &Aws, table: Value) -> Box<dyn TokenSink> {
    sink_at(&aws.url(), aws.access_key_id(), table)
}

fn json_sink(aws: &Aws) -> Box<dyn TokenSink> {
    sink(aws, json!({"json_key": "T"}))
}

async fn refusal(sink: &dyn TokenSink) -> (SinkErrorKind, String) {
    let error = sink.prepare().await.unwrap_err();
    (error.kind(), format!("{error} {}", error.advice().unwrap_or_default()))
}

fn operations(aws: &Aws) -> Vec<String> {
    let name = |operation: String| operation.rsplit('.').next().unwrap().to_owned();
    aws.requests().into_iter().filter_map(|request| request.operation.map(name)).collect()
}

#[tokio::test]
async fn a_prepared_write_is_one_put_and_a_repeat_is_none() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "{ \"a\": 1.50, \"T\": \"old\" }");
    let sink = json_sink(&aws);
    let prepared = sink.prepare().await.unwrap();
    assert_eq!(prepared.readiness(), Readiness::Ready);
    assert_eq!(
        (aws.versions(NAME), aws.value(NAME).unwrap().as_str()),
        (1, "{ \"a\": 1.50, \"T\": \"old\" }")
    );

    let asked = operations(&aws).len();
    prepared.write(&Token::new("new")).await.unwrap();
    prepared.write(&Token::new("new")).await.unwrap();
    assert_eq!(operations(&aws)[asked..], ["PutSecretValue", "PutSecretValue"]);
    assert_eq!(
        (aws.versions(NAME), aws.value(NAME).unwrap().as_str()),
        (2, "{ \"a\": 1.50, \"T\": \"new\" }")
    );
    assert_eq!(sink.inspect(&Token::new("new"), None).await.unwrap(), Holds::Token);
    assert_eq!(sink.inspect(&Token::new("other"), None).await.unwrap(), Holds::AnotherValue);
}

#[tokio::test]
async fn what_someone_else_wrote_in_between_is_kept() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, r#"{"T":"old","theirs":1}"#);
    let sink = json_sink(&aws);
    let prepared = sink.prepare().await.unwrap();
    aws.interfere_with_next_put(NAME, r#"{"T":"old","theirs":2}"#);
    let token = Token::new("new");
    prepared.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"new","theirs":1}"#);

    let error = sink.inspect(&token, None).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Conflict);
    sink.prepare().await.unwrap().write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"new","theirs":2}"#);
    assert_eq!(sink.inspect(&token, None).await.unwrap(), Holds::Token);
}

#[tokio::test]
async fn what_someone_else_wrote_in_between_is_kept_by_the_next_run() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, r#"{"T":"old","theirs":1}"#);
    let prepared = json_sink(&aws).prepare().await.unwrap();
    aws.interfere_with_next_put(NAME, r#"{"T":"old","theirs":2}"#);
    // The run dies when this is acknowledged and recorded.
    let receipt = prepared.write(&Token::new("dead")).await.unwrap();

    for token in ["dead", "live"] {
        let (sink, token) = (json_sink(&aws), Token::new(token));
        // A run prepares all sinks before it looks at what they hold.
        let prepared = sink.prepare().await.unwrap();
        let held = sink.inspect(&token, Some(&receipt)).await;
        match token.expose() {
            "dead" => assert_eq!(held.unwrap_err().kind(), SinkErrorKind::Conflict),
            _ => assert_eq!(held.unwrap(), Holds::AnotherValue),
        }
        let error = prepared.write(&token).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Conflict);
        assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"dead","theirs":1}"#);
    }

    let (sink, token) = (json_sink(&aws), Token::new("live"));
    sink.inspect(&token, Some(&receipt)).await.unwrap();
    let receipt = sink.prepare().await.unwrap().write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"live","theirs":2}"#);
    assert_eq!(json_sink(&aws).inspect(&token, Some(&receipt)).await.unwrap(), Holds::Token);
}

#[tokio::test]
async fn what_someone_else_wrote_later_and_took_back_stays_taken_back() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, r#"{"T":"old","theirs":1}"#);
    let token = Token::new("new");
    let receipt = json_sink(&aws).prepare().await.unwrap().write(&token).await.unwrap();
    aws.put_as_stranger(NAME, r#"{"T":"new","theirs":2}"#);
    aws.roll_back(NAME);
    let sink = json_sink(&aws);
    assert_eq!(sink.inspect(&token, Some(&receipt)).await.unwrap(), Holds::Token);
    sink.prepare().await.unwrap().write(&Token::new("newer")).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"newer","theirs":1}"#);
}

#[tokio::test]
async fn our_own_earlier_write_is_nobody_elses() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, r#"{"T":"old","theirs":1}"#);
    let sink = json_sink(&aws);
    let prepared = sink.prepare().await.unwrap();
    for token in ["one", "two", "two", "one"] {
        let token = Token::new(token);
        prepared.write(&token).await.unwrap();
        assert_eq!(sink.inspect(&token, None).await.unwrap(), Holds::Token);
    }
    assert_eq!(
        (aws.versions(NAME), aws.value(NAME).unwrap().as_str()),
        (4, r#"{"T":"one","theirs":1}"#)
    );
}

#[tokio::test]
async fn an_earlier_token_can_be_written_again() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "start");
    let sink = sink(&aws, json!({}));
    for token in ["one", "two", "one"] {
        sink.prepare().await.unwrap().write(&Token::new(token)).await.unwrap();
        assert_eq!(aws.value(NAME).as_deref(), Some(token));
    }
}

#[tokio::test]
async fn a_write_that_somebody_took_back_is_made_again() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "old");
    let token = Token::new("new");
    for _ in 0..3 {
        // Each run knows nothing of the ones before.
        let sink = sink(&aws, json!({}));
        sink.prepare().await.unwrap().write(&token).await.unwrap();
        assert_eq!(sink.inspect(&token, None).await.unwrap(), Holds::Token);
        aws.roll_back(NAME);
        assert_eq!(aws.value(NAME).as_deref(), Some("old"));
    }
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_known_by_its_version() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "old");
    aws.forbid_reading(NAME);
    let sink = sink(&aws, json!({}));
    let prepared = sink.prepare().await.unwrap();
    assert!(matches!(prepared.readiness(), Readiness::Unknown { .. }));
    let token = Token::new("new");
    let receipt = prepared.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).as_deref(), Some("new"));
    assert_eq!(sink.inspect(&token, Some(&receipt)).await.unwrap(), Holds::LastWriteIsOurs);
    assert!(matches!(sink.inspect(&token, None).await.unwrap(), Holds::Unknown { .. }));
    aws.put_as_stranger(NAME, "theirs");
    assert_eq!(sink.inspect(&token, Some(&receipt)).await.unwrap(), Holds::AnotherValue);
    // The same token again is another version: the first one would be a repeat, and stay behind.
    sink.prepare().await.unwrap().write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).as_deref(), Some("new"));
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("read the secret"), "{words}");
}

#[tokio::test]
async fn a_missing_secret_is_made_when_asked() {
    let aws = Aws::start().await.unwrap();
    let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(kind == SinkErrorKind::NotFound && words.contains("create = true"), "{words}");
    let sink = sink(&aws, json!({"json_keys": ["A", "B"], "create": true}));
    let token = Token::new("new");
    assert_eq!(sink.inspect(&token, None).await.unwrap(), Holds::Nothing);
    sink.prepare().await.unwrap().write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"A":"new","B":"new"}"#);
}

#[tokio::test]
async fn each_unfit_secret_is_refused_with_its_reason() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "not json");
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::Refused && words.contains("not a JSON object"), "{words}");
    aws.put_as_stranger(NAME, "{}");
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::NotFound && words.contains("no key `T`"), "{words}");
    aws.delete(NAME);
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(kind == SinkErrorKind::Refused && words.contains("scheduled for deletion"), "{words}");
    let stranger = sink_at(&aws.url(), "AKIDOTHER", json!({}));
    let (kind, words) = refusal(stranger.as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("credentials are wrong"), "{words}");
}

#[tokio::test]
async fn a_secret_of_another_service_or_region_is_refused_before_any_write() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "old");
    // The primary names its own region.
    aws.make_replica_of(NAME, "eu-central-1");
    sink(&aws, json!({})).prepare().await.unwrap();
    aws.make_replica_of(NAME, "us-east-1");
    let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(kind == SinkErrorKind::Refused && words.contains("replica"), "{words}");
    assert!(words.contains("set `region = \"us-east-1\"`"), "{words}");
    aws.hand_over_to(NAME, "rds");
    let before = operations(&aws).len();
    let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(kind == SinkErrorKind::Refused && words.contains("managed by rds"), "{words}");
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
        // A new token may be as long as the old one, and is at least given room.
        let room = token.len().max(1024);
        let most = 65_536 - value("", 0).len() - 2 * room;
        aws.put_as_stranger(NAME, &value(&token, most));
        let prepared = both().prepare().await.unwrap();
        aws.put_as_stranger(NAME, &value(&token, most + 1));
        let (kind, words) = refusal(both().as_ref()).await;
        assert!(kind == SinkErrorKind::Refused && words.contains("64 KB"), "{words}");
        prepared.write(&Token::new("n".repeat(room))).await.unwrap();
    }
    let prepared = both().prepare().await.unwrap();
    let error = prepared.write(&Token::new("n".repeat(2000))).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Refused);
}

/// A server that answers everything alike. Returns its base URL.
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
async fn a_server_that_echoes_secrets_is_not_quoted() {
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
    assert_eq!(kind, SinkErrorKind::Denied);
    let shown = "'[redacted] [redacted] [redacted]'";
    assert!(words.contains(shown) && words.contains(arn), "{words}");
    assert!(words.contains("InvalidSignatureException") && words.len() < 500, "{words}");
}

#[tokio::test]
async fn an_answer_without_a_code_is_known_by_its_status() {
    for (status, kind) in [
        // The write may have landed.
        (StatusCode::OK, SinkErrorKind::Transient),
        (StatusCode::FORBIDDEN, SinkErrorKind::Denied),
        (StatusCode::BAD_GATEWAY, SinkErrorKind::Transient),
    ] {
        let body = "<ErrorResponse><Code>AccessDenied</Code></ErrorResponse>";
        let url = answering(status, body).await;
        let (seen, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
        assert_eq!(seen, kind, "{words}");
    }
}

#[tokio::test]
async fn a_code_that_nobody_listed_is_known_by_its_status() {
    for (status, code, kind) in [
        (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", SinkErrorKind::Transient),
        (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", SinkErrorKind::Transient),
        (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", SinkErrorKind::Transient),
        (StatusCode::BAD_REQUEST, "RequestTimeout", SinkErrorKind::Transient),
        (StatusCode::BAD_REQUEST, "RequestAbortedException", SinkErrorKind::Transient),
        (StatusCode::FORBIDDEN, "OptInRequired", SinkErrorKind::Denied),
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
        assert!(matches!(seen, SinkErrorKind::Limited { .. }), "{words}");
    }
}

#[tokio::test]
async fn an_impatient_table_makes_no_other_impatient() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "old");
    let keys = [("AWS_ACCESS_KEY_ID", aws.access_key_id()), ("AWS_SECRET_ACCESS_KEY", "any")];
    let variables = keys.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = BuildContext::new("/", Environment::from_iter(variables));
    let table = json!({"secret_id": NAME, "region": "eu-central-1", "endpoint_url": aws.url()});
    let factory = Registry::linked().unwrap().get("aws-secrets-manager").unwrap();
    let built = |context: &BuildContext| {
        factory.build(table.as_object().unwrap().clone(), context).unwrap().remove(0)
    };
    let impatient = built(&context.with_attempt_timeout(Duration::from_nanos(1)));
    let (kind, words) = refusal(impatient.as_ref()).await;
    assert!(kind == SinkErrorKind::Transient && words.contains("no answer in time"), "{words}");
    built(&context).prepare().await.unwrap();
}

#[tokio::test]
async fn nobody_listening_may_pass_and_is_named() {
    let aws = Aws::start().await.unwrap();
    let url = aws.url();
    drop(aws);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (kind, words) = refusal(sink_at(&url, "AKID", json!({})).as_ref()).await;
    assert_eq!(kind, SinkErrorKind::Transient, "{words}");
    assert!(words.contains("describe the secret at 127.0.0.1: "), "{words}");
    assert!(words.contains("see the network") && words.contains("`endpoint_url`"), "{words}");
}

#[tokio::test]
async fn an_endpoint_from_a_variable_is_safe_and_named_by_its_host() {
    let aws = Aws::start().await.unwrap();
    aws.put_as_stranger(NAME, "old");
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
        let warnings = set(name, &aws.url(), &[]).unwrap()[0].prepare().await.unwrap().warnings();
        assert_eq!(warnings, [format!("{name} sends it to 127.0.0.1")]);
        for (url, words) in [
            ("http://10.0.0.1:4566/x", "in the clear"),
            ("https://me:hunter2@localstack.example", "carries credentials"),
            ("https://me:hunter2@", "is not a URL"),
            ("localstack", "is not a URL"),
        ] {
            let errors = set(name, url, &[]).unwrap_err();
            let said = errors[0].to_string();
            assert_eq!(errors[0].kind(), SinkErrorKind::Config, "{said}");
            assert!(said.contains(name) && said.contains(words), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
            // It is the person's own wish that it counts for nothing.
            let ignored = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
            assert!(set(name, url, &ignored).is_ok(), "{url}");
        }
    }
    let kept = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")];
    set("AWS_ENDPOINT_URL", &aws.url(), &kept).unwrap()[0].prepare().await.unwrap();
}
