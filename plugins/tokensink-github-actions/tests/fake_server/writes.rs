//! Tests of preparations and writes.

use serde_json::json;
use tokensink_core::{Content, SinkErrorKind, Token};

use crate::{SECRET, api_sink, github, sink, write};

#[tokio::test]
async fn a_prepared_write_is_one_request() {
    let github = github().await;
    let sink = api_sink(&github);
    let preparation = sink.prepare().await.unwrap();
    let before = github.requests();
    let mut asked: Vec<String> =
        before.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    // The last two are sent together, in any order.
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /repos/acme/api",
            "GET /repos/acme/api/actions/secrets/public-key",
            "GET /repos/acme/api/actions/secrets?per_page=100&page=1",
        ]
    );
    assert_eq!(github.secret(SECRET), None);

    let receipt = preparation.writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
    let after = github.requests();
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!((after.last().unwrap().method.as_str(), after.last().unwrap().status), ("PUT", 201));

    let token = Token::new("one");
    assert_eq!(
        sink.inspect(Some(&receipt)).await.unwrap().content,
        Content::UnchangedSinceOurWrite
    );
    assert!(matches!(sink.inspect(None).await.unwrap().content, Content::Unknown { .. }));
    preparation.writer.write(&token).await.unwrap();
    assert_eq!(github.requests().last().unwrap().status, 204);
}

#[tokio::test]
async fn a_replaced_key_is_fetched_again() {
    let github = github().await;
    let preparation = api_sink(&github).prepare().await.unwrap();
    github.rotate_key();
    preparation.writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
}

#[tokio::test]
async fn a_second_preparation_uses_the_key_of_the_first_until_a_write_fails() {
    let github = github().await;
    let sink = api_sink(&github);
    let keys = || {
        let requests = github.requests();
        requests.iter().filter(|request| request.path.ends_with("public-key")).count()
    };
    sink.prepare().await.unwrap();
    let preparation = sink.prepare().await.unwrap();
    assert_eq!(keys(), 1);
    github.limit_next_writes(403, 1, Some("0"));
    preparation.writer.write(&Token::new("one")).await.unwrap_err();
    sink.prepare().await.unwrap();
    assert_eq!(keys(), 2);
    // A server that counts no requests is asked again, which keeps connections open.
    github.count_no_requests();
    let uncounted = api_sink(&github);
    uncounted.prepare().await.unwrap();
    uncounted.prepare().await.unwrap();
    assert_eq!(keys(), 4);
    github.rename("acme/api", "acme/moved");
    sink.prepare().await.unwrap().writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret("repos/acme/moved/actions/secrets/QSTASH_TOKEN").unwrap(), "one");
}

#[tokio::test]
async fn a_secret_that_does_not_exist_yet_is_announced() {
    let github = github().await;
    let warnings = async || api_sink(&github).prepare().await.unwrap().warnings;
    let announced = "the secret QSTASH_TOKEN does not exist yet and will be created";
    github.put_externally("repos/acme/api/actions/secrets/NPM_TOKEN", "other");
    assert_eq!(warnings().await, [announced]);
    github.put_externally("repos/acme/api/actions/secrets/QSTASH_TOKENS", "close");
    assert_eq!(
        warnings().await,
        [format!(
            "{announced}; set `secret = \"QSTASH_TOKENS\"` if you meant the existing QSTASH_TOKENS"
        )]
    );
    // GitHub's names have no letter case.
    let table = json!({"repositories": ["acme/api"], "secret": "qstash_tokens"});
    assert_eq!(sink(&github, table).prepare().await.unwrap().warnings, [""; 0]);
    // After a write it exists.
    let sink = api_sink(&github);
    write(sink.as_ref(), "one").await;
    assert_eq!(sink.prepare().await.unwrap().warnings, [""; 0]);
}

#[tokio::test]
async fn names_that_cannot_be_listed_are_a_warning() {
    let github = github().await;
    github.refuse_reads("repos/acme/api/actions/secrets?", 403);
    let preparation = api_sink(&github).prepare().await.unwrap();
    let [warning] = preparation.warnings.try_into().unwrap();
    let expected = "not checked whether the secret QSTASH_TOKEN exists: cannot list the names";
    assert!(warning.starts_with(expected) && warning.contains("403"), "{warning}");
    preparation.writer.write(&Token::new("one")).await.unwrap();
}

#[tokio::test]
async fn a_409_is_reported_as_a_conflict() {
    let github = github().await;
    let preparation = api_sink(&github).prepare().await.unwrap();
    github.refuse_next_writes(409, 1);
    let error = preparation.writer.write(&Token::new("one")).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Conflict, "{error}");
    preparation.writer.write(&Token::new("one")).await.unwrap();
}
