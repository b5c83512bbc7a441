//! Tests of writes, of merging external writes, and of the evidence afterwards.

use serde_json::json;
use tokensink_core::{Content, Readiness, SinkErrorKind, Token};
use tokensink_sandbox::Aws;

use crate::{NAME, content, held, json_sink, operations, refusal, sink};

#[tokio::test]
async fn a_prepared_write_is_one_request_and_a_repeated_one_adds_no_version() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "{ \"a\": 1.50, \"T\": \"old\" }");
    let sink = json_sink(&aws);
    let prepared = sink.prepare().await.unwrap();
    assert!(matches!(prepared.readiness, Readiness::Unknown { .. }));
    assert_eq!(prepared.writer.prove().await.unwrap(), Readiness::Ready);
    assert_eq!(
        (aws.versions(NAME), aws.value(NAME).unwrap().as_str()),
        (1, "{ \"a\": 1.50, \"T\": \"old\" }")
    );

    let asked = operations(&aws).len();
    prepared.writer.write(&Token::new("new")).await.unwrap();
    prepared.writer.write(&Token::new("new")).await.unwrap();
    assert_eq!(operations(&aws)[asked..], ["PutSecretValue", "PutSecretValue"]);
    assert_eq!(
        (aws.versions(NAME), aws.value(NAME).unwrap().as_str()),
        (2, "{ \"a\": 1.50, \"T\": \"new\" }")
    );
    assert_eq!(content(sink.as_ref(), None).await, held("new"));
}

#[tokio::test]
async fn a_concurrent_external_write_is_kept() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old","external":1}"#);
    let sink = json_sink(&aws);
    let prepared = sink.prepare().await.unwrap();
    aws.interfere_with_next_put(NAME, r#"{"T":"old","external":2}"#);
    let token = Token::new("new");
    prepared.writer.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"new","external":1}"#);

    let error = sink.inspect(None).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Conflict);
    sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"new","external":2}"#);
    assert_eq!(content(sink.as_ref(), None).await, held(token.expose()));
}

#[tokio::test]
async fn a_concurrent_external_write_is_kept_by_the_next_run() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old","external":1}"#);
    let prepared = json_sink(&aws).prepare().await.unwrap();
    aws.interfere_with_next_put(NAME, r#"{"T":"old","external":2}"#);
    // The run ends after this write is acknowledged and recorded.
    let receipt = prepared.writer.write(&Token::new("dead")).await.unwrap();

    for token in ["dead", "live"] {
        let (sink, token) = (json_sink(&aws), Token::new(token));
        // A run prepares all sinks before it inspects them.
        let prepared = sink.prepare().await.unwrap();
        let error = sink.inspect(Some(&receipt)).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Conflict);
        let error = prepared.writer.write(&token).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Conflict);
        assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"dead","external":1}"#);
    }

    let (sink, token) = (json_sink(&aws), Token::new("live"));
    sink.inspect(Some(&receipt)).await.unwrap_err();
    let receipt = sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"live","external":2}"#);
    assert_eq!(content(json_sink(&aws).as_ref(), Some(&receipt)).await, held("live"));
}

#[tokio::test]
async fn a_later_external_write_that_was_undone_is_not_restored() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old","external":1}"#);
    let token = Token::new("new");
    let receipt = json_sink(&aws).prepare().await.unwrap().writer.write(&token).await.unwrap();
    aws.put_externally(NAME, r#"{"T":"new","external":2}"#);
    aws.roll_back(NAME);
    let sink = json_sink(&aws);
    assert_eq!(content(sink.as_ref(), Some(&receipt)).await, held(token.expose()));
    sink.prepare().await.unwrap().writer.write(&Token::new("newer")).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"T":"newer","external":1}"#);
}

#[tokio::test]
async fn our_own_earlier_write_is_not_an_external_write() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, r#"{"T":"old","external":1}"#);
    let sink = json_sink(&aws);
    let prepared = sink.prepare().await.unwrap();
    for token in ["one", "two", "two", "one"] {
        let token = Token::new(token);
        prepared.writer.write(&token).await.unwrap();
        assert_eq!(content(sink.as_ref(), None).await, held(token.expose()));
    }
    assert_eq!(
        (aws.versions(NAME), aws.value(NAME).unwrap().as_str()),
        (4, r#"{"T":"one","external":1}"#)
    );
}

#[tokio::test]
async fn an_earlier_token_can_be_written_again() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "start");
    let sink = sink(&aws, json!({}));
    for token in ["one", "two", "one"] {
        sink.prepare().await.unwrap().writer.write(&Token::new(token)).await.unwrap();
        assert_eq!(aws.value(NAME).as_deref(), Some(token));
    }
}

#[tokio::test]
async fn a_write_that_was_undone_is_repeated() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    let token = Token::new("new");
    for _ in 0..3 {
        // The runs share no state.
        let sink = sink(&aws, json!({}));
        sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
        assert_eq!(content(sink.as_ref(), None).await, held(token.expose()));
        aws.roll_back(NAME);
        assert_eq!(aws.value(NAME).as_deref(), Some("old"));
    }
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_inspected_by_its_version() {
    let aws = Aws::start().await.unwrap();
    aws.put_externally(NAME, "old");
    aws.forbid_reading(NAME);
    let sink = sink(&aws, json!({}));
    let prepared = sink.prepare().await.unwrap();
    assert!(matches!(prepared.readiness, Readiness::Unknown { .. }));
    let token = Token::new("new");
    let receipt = prepared.writer.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).as_deref(), Some("new"));
    let seen = |last| content(sink.as_ref(), last);
    assert_eq!(seen(Some(&receipt)).await, Content::UnchangedSinceOurWrite);
    assert!(matches!(seen(None).await, Content::Unknown { .. }));
    aws.put_externally(NAME, "external");
    assert_eq!(seen(Some(&receipt)).await, Content::ChangedSinceOurWrite);
    // The same token again becomes another version. With the first version's id, the write would be a
    // no-op and the secret would keep the token in between.
    sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).as_deref(), Some("new"));
    let (kind, words) = refusal(json_sink(&aws).as_ref()).await;
    assert!(
        kind == SinkErrorKind::PermissionDenied && words.contains("read the secret"),
        "{words}"
    );
}

#[tokio::test]
async fn a_missing_secret_is_created_with_create_only() {
    let aws = Aws::start().await.unwrap();
    let (kind, words) = refusal(sink(&aws, json!({})).as_ref()).await;
    assert!(kind == SinkErrorKind::NotFound && words.contains("create = true"), "{words}");
    let sink = sink(&aws, json!({"json_keys": ["A", "B"], "create": true}));
    let token = Token::new("new");
    assert_eq!(content(sink.as_ref(), None).await, Content::Absent);
    sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
    assert_eq!(aws.value(NAME).unwrap(), r#"{"A":"new","B":"new"}"#);
}
