//! Tests that a write keeps the visibility of an organization secret.

use serde_json::json;
use tokensink_core::{Receipt, SinkErrorKind, Token, TokenSink};
use tokensink_sandbox::GitHub;

use crate::{refusal, sink, write};

const SECRET: &str = "orgs/acme/actions/secrets/QSTASH_TOKEN";

async fn organization() -> (GitHub, Box<dyn TokenSink>) {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    github.add_selected_secret(SECRET, Vec::new());
    github.set_visibility(SECRET, "all", &[]);
    let sink = sink(&github, json!({"organization": "acme"}));
    (github, sink)
}

#[tokio::test]
async fn all_selected_repositories_are_kept() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    for app in ["actions", "dependabot", "codespaces"] {
        let path = format!("orgs/acme/{app}/secrets/QSTASH_TOKEN");
        let sink = sink(&github, json!({"organization": "acme", "app": app}));
        let selected: Vec<u64> = (1..=250).collect();
        github.add_selected_secret(&path, selected.clone());
        let receipt = write(sink.as_ref(), "one").await;
        assert_eq!(github.secret(&path).as_deref(), Some("one"));
        assert_eq!(github.selected(&path), selected);
        assert_eq!(receipt.get(Receipt::WARNING), None);
    }
}

#[tokio::test]
async fn an_organization_secret_is_not_created() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    let sink = sink(&github, json!({"organization": "acme"}));
    let (kind, words) = refusal(sink.as_ref()).await;
    assert_eq!(kind, SinkErrorKind::NotFound);
    assert!(words.contains("create the organization secret QSTASH_TOKEN once"), "{words}");
    github.add_selected_secret("orgs/acme/actions/secrets/NPM_TOKEN", Vec::new());
    github.add_selected_secret("orgs/acme/actions/secrets/QSTASH_TOKENS", Vec::new());
    let (_, words) = refusal(sink.as_ref()).await;
    assert!(words.contains("or set `secret = \"QSTASH_TOKENS\"` if you meant"), "{words}");
}

#[tokio::test]
async fn a_visibility_that_was_narrowed_while_the_write_waited_is_kept() {
    let (github, sink) = organization().await;
    let writer = sink.prepare().await.unwrap().writer;
    github.limit_next_writes(429, 1, Some("1"));
    let error = writer.write(&Token::new("one")).await.unwrap_err();
    assert!(matches!(error.kind(), SinkErrorKind::RateLimited { .. }), "{error}");
    github.set_visibility(SECRET, "selected", &[7, 8]);
    let receipt = writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
    assert_eq!(github.visibility(SECRET).as_deref(), Some("selected"));
    assert_eq!(github.selected(SECRET), [7, 8]);
    assert_eq!(receipt.get(Receipt::WARNING), None);
}

#[tokio::test]
async fn a_visibility_that_was_narrowed_while_the_write_was_queued_is_kept() {
    let (github, sink) = organization().await;
    let writer = sink.prepare().await.unwrap().writer;
    github.set_visibility(SECRET, "private", &[]);
    writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.visibility(SECRET).as_deref(), Some("private"));
}

#[tokio::test]
async fn a_visibility_that_changes_during_the_write_is_kept_and_reported() {
    let (github, sink) = organization().await;
    let writer = sink.prepare().await.unwrap().writer;
    github.set_visibility_after_next_write("selected", &[7]);
    let receipt = writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.visibility(SECRET).as_deref(), Some("selected"));
    assert_eq!(github.selected(SECRET), [7]);
    let expected = "its visibility was changed from all repositories to 1 selected repository during the write";
    assert_eq!(receipt.get(Receipt::WARNING), Some(expected));
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
}

#[tokio::test]
async fn the_visibility_is_read_right_before_and_after_the_write() {
    let (github, sink) = organization().await;
    let preparation = sink.prepare().await.unwrap();
    let before = github.requests().len();
    preparation.writer.write(&Token::new("one")).await.unwrap();
    let sent: Vec<String> =
        github.requests().into_iter().skip(before).map(|one| one.method).collect();
    assert_eq!(sent, ["GET", "PUT", "GET"]);
    assert_eq!(preparation.estimate.requests, 3);
}
