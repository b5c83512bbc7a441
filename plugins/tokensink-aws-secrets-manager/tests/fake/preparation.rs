//! Tests of preparations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokensink_core::{Readiness, SinkErrorKind, TargetId, Token, TokenSink};
use tokensink_sandbox::Aws;

use crate::{NAME, build, json_sink, operations, sink};

/// Operations that change nothing.
const READS: [&str; 2] = ["DescribeSecret", "GetSecretValue"];

#[tokio::test]
async fn preparing_and_inspecting_send_only_reads() {
    for table in [json!({}), json!({"json_key": "T"})] {
        let aws = Aws::start().await.unwrap();
        aws.put_externally(NAME, r#"{"T":"old"}"#);
        if table == json!({}) {
            aws.put_externally(NAME, "old");
        }
        let sink = sink(&aws, table);
        let preparation = sink.prepare().await.unwrap();
        sink.inspect(None).await.unwrap();
        sink.survey().await.unwrap();
        let sent = operations(&aws);
        assert!(sent.iter().all(|one| READS.contains(&one.as_str())), "{sent:?}");
        let versions = aws.versions(NAME);

        assert_eq!(preparation.writer.prove().await.unwrap(), Readiness::Ready);
        assert_eq!(operations(&aws)[sent.len()..], ["PutSecretValue"]);
        assert_eq!(aws.versions(NAME), versions);
    }
}

#[tokio::test]
async fn a_missing_write_permission_is_found_by_prove() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    aws.forbid_writing(NAME);
    let preparation = sink(&aws, json!({})).prepare().await.unwrap();
    assert!(matches!(preparation.readiness, Readiness::Unknown { .. }));
    let error = preparation.writer.prove().await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::PermissionDenied);
    assert!(error.to_string().contains("PutSecretValue"), "{error}");
}

/// Builds a sink with its endpoints in variables.
fn sink_of(aws: &Aws, secret_id: &str, more: &[(&str, &str)]) -> Box<dyn TokenSink> {
    let url = aws.url();
    let keys = [
        ("AWS_ACCESS_KEY_ID", aws.access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_REGION", aws.region()),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    build(json!({"secret_id": secret_id}), &[&keys, more].concat()).unwrap().remove(0)
}

/// Returns the number of requests to STS.
fn identity_requests(aws: &Aws) -> usize {
    aws.requests().iter().filter(|request| request.operation.is_none()).count()
}

#[tokio::test]
async fn a_name_and_its_arns_resolve_to_the_same_target() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let arn = aws.arn(NAME);
    let partial = arn.strip_suffix("-AbCdEf").unwrap();
    let expected = Some(TargetId::new("aws-secrets-manager", &arn));
    for secret_id in [NAME, &arn, partial] {
        let preparation = sink_of(&aws, secret_id, &[]).prepare().await.unwrap();
        assert_eq!(preparation.resolved_target, expected, "{secret_id}");
    }
}

#[tokio::test]
async fn a_secret_in_a_foreign_account_is_shown_as_one() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let arn = aws.arn(NAME);
    let own = sink_of(&aws, &arn, &[]).prepare().await.unwrap();
    assert_eq!(own.foreign_destination, None);
    assert!(own.warnings.iter().all(|warning| !warning.contains("account")), "{own:?}");

    aws.move_caller_to_account("210987654321");
    let sink = sink_of(&aws, &arn, &[]);
    for _ in 0..2 {
        let foreign = sink.prepare().await.unwrap();
        let expected = "in AWS account 123456789012, not yours (210987654321)";
        assert_eq!(foreign.foreign_destination.as_deref(), Some(expected));
    }
    // Each run requests the account once.
    assert_eq!(identity_requests(&aws), 2);
    // A name is always in the caller's account.
    let named = sink_of(&aws, NAME, &[]).prepare().await.unwrap();
    assert_eq!(named.foreign_destination, None);
    assert_eq!(identity_requests(&aws), 2);
}

/// Prepares twice. Each time the account is not known for `reason`, which prevents nothing.
async fn assert_account_unknown(sink: &dyn TokenSink, reason: &str) {
    for _ in 0..2 {
        let preparation = sink.prepare().await.unwrap();
        assert_eq!(preparation.foreign_destination, None);
        let warnings = preparation.warnings.join("\n");
        assert!(warnings.contains("AWS account 123456789012"), "{warnings}");
        assert!(warnings.contains(reason), "{warnings}");
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_compared_is_a_warning() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let arn = aws.arn(NAME);
    let keys = [("AWS_ACCESS_KEY_ID", aws.access_key_id()), ("AWS_SECRET_ACCESS_KEY", "any")];
    let url = aws.url();
    let only_secrets_manager = [&keys[..], &[("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url)]].concat();
    // A fake or a proxy of Secrets Manager only. Its credentials are not valid at AWS.
    let alone = build(json!({"secret_id": arn}), &only_secrets_manager).unwrap().remove(0);
    assert_account_unknown(alone.as_ref(), "Secrets Manager only").await;
    let no_url = sink_of(&aws, &arn, &[("AWS_ENDPOINT_URL_STS", "no url")]);
    assert_account_unknown(no_url.as_ref(), "AWS_ENDPOINT_URL_STS").await;
    assert_eq!(identity_requests(&aws), 0);
}

#[tokio::test]
async fn a_silent_sts_delays_only_the_first_preparation() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&connections);
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(silent.accept().await.unwrap());
            accepted.fetch_add(1, Ordering::SeqCst);
            // The preparation waits for the response by now: its patience passes at once.
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(2)).await;
            tokio::time::resume();
        }
    });
    let sink = sink_of(&aws, &aws.arn(NAME), &[("AWS_ENDPOINT_URL_STS", &url)]);
    assert_account_unknown(sink.as_ref(), "no response in time").await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    server.abort();
}

#[tokio::test]
async fn a_replica_that_is_behind_is_a_warning() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old"}"#);
    aws.replicate(NAME, "us-east-1", "InSync", "");
    assert_eq!(json_sink(&aws).prepare().await.unwrap().warnings, Vec::<String>::new());
    aws.replicate(NAME, "us-west-2", "InProgress", "");
    aws.replicate(NAME, "ap-south-1", "Failed", "a secret of this name exists there");
    assert_eq!(
        json_sink(&aws).prepare().await.unwrap().warnings,
        [
            "its replica in us-west-2 is not complete yet",
            "its replica in ap-south-1 failed: a secret of this name exists there",
        ]
    );
}

#[tokio::test]
async fn an_arn_of_a_missing_secret_is_not_created() {
    let aws = Aws::start().await.unwrap();
    let table = json!({"secret_id": aws.arn(NAME), "create": true, "endpoint_url": aws.url()});
    let keys = [("AWS_ACCESS_KEY_ID", aws.access_key_id()), ("AWS_SECRET_ACCESS_KEY", "any")];
    let sink = build(table, &keys).unwrap().remove(0);
    let error = sink.prepare().await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::NotFound);
    assert!(error.help().unwrap().contains("use the name"), "{error:?}");
}

#[tokio::test]
async fn the_version_id_does_not_depend_on_the_other_keys() {
    let mut versions = Vec::new();
    for (others, token) in [("1234", "new"), ("5678", "new"), ("1234", "newer")] {
        let aws = Aws::start().await.unwrap();
        aws.put_externally(NAME, &json!({"T": "old", "pin": others}).to_string());
        let preparation = json_sink(&aws).prepare().await.unwrap();
        let receipt = preparation.writer.write(&Token::new(token)).await.unwrap();
        versions.push(receipt.get("version").unwrap().to_owned());
    }
    assert_eq!(versions[0], versions[1]);
    assert_ne!(versions[0], versions[2]);
}

#[tokio::test]
async fn the_same_write_of_another_process_adds_no_version() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old"}"#);
    // The first process ends before it receives the response.
    let first = json_sink(&aws).prepare().await.unwrap();
    let later = json_sink(&aws).prepare().await.unwrap();
    for preparation in [first, later] {
        preparation.writer.write(&Token::new("new")).await.unwrap();
        assert_eq!((aws.versions(NAME), aws.value(NAME).unwrap().as_str()), (2, r#"{"T":"new"}"#));
    }
}
