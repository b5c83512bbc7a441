//! The token on its way into a secret, and what is seen of it afterwards.

use serde_json::json;
use tokensink_core::{Content, SinkErrorKind, Token};
use tokensink_sandbox::GitHub;

use crate::{SECRET, api_sink, github, refusal, sink, write};

#[tokio::test]
async fn a_prepared_write_is_one_put() {
    let github = github().await;
    let sink = api_sink(&github);
    let prepared = sink.prepare().await.unwrap();
    let before = github.requests();
    let asked: Vec<String> =
        before.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(asked, ["GET /repos/acme/api", "GET /repos/acme/api/actions/secrets/public-key",]);
    assert_eq!(github.secret(SECRET), None);

    let receipt = prepared.writer.write(&Token::new("one")).await.unwrap();
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
    prepared.writer.write(&token).await.unwrap();
    assert_eq!(github.requests().last().unwrap().status, 204);
}

#[tokio::test]
async fn a_strangers_write_is_seen() {
    let github = github().await;
    let sink = api_sink(&github);
    assert_eq!(sink.inspect(None).await.unwrap().content, Content::Absent);
    let receipt = write(sink.as_ref(), "one").await;
    github.put_externally(SECRET, "theirs");
    let seen = sink.inspect(Some(&receipt)).await.unwrap().content;
    assert_eq!(seen, Content::ChangedSinceOurWrite);
}

#[tokio::test]
async fn a_strangers_write_is_told_from_ours_by_its_second() {
    let github = github().await;
    let sink = api_sink(&github);
    let receipt = write(sink.as_ref(), "one").await;
    let written: i64 = receipt.get("written_at").unwrap().parse().unwrap();
    let cases = [
        // Before the answer, as ours is.
        (-2, Content::UnchangedSinceOurWrite),
        (0, Content::UnchangedSinceOurWrite),
        // GitHub may round the second of ours up: this one cannot be told from it.
        (1, Content::UnchangedSinceOurWrite),
        (2, Content::ChangedSinceOurWrite),
        (3, Content::ChangedSinceOurWrite),
        (-3, Content::ChangedSinceOurWrite),
    ];
    for (later, expected) in cases {
        github.put_externally_at(SECRET, "theirs", written + later);
        let seen = sink.inspect(Some(&receipt)).await.unwrap().content;
        assert_eq!(seen, expected, "{later}");
    }
}

#[tokio::test]
async fn a_key_that_was_rotated_is_fetched_again() {
    let github = github().await;
    let prepared = api_sink(&github).prepare().await.unwrap();
    github.rotate_key();
    prepared.writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
}

#[tokio::test]
async fn a_second_preparation_takes_the_key_of_the_first_until_a_write_fails() {
    let github = github().await;
    let sink = api_sink(&github);
    let keys = || {
        let requests = github.requests();
        requests.iter().filter(|request| request.path.ends_with("public-key")).count()
    };
    sink.prepare().await.unwrap();
    let prepared = sink.prepare().await.unwrap();
    assert_eq!(keys(), 1);
    github.limit_next_writes(403, 1, Some("0"));
    prepared.writer.write(&Token::new("one")).await.unwrap_err();
    sink.prepare().await.unwrap();
    assert_eq!(keys(), 2);
    // A server that counts no requests is asked again: that keeps its connections.
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
async fn an_organizations_selected_repositories_are_all_kept() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    for (app, path) in [
        ("actions", "orgs/acme/actions/secrets/QSTASH_TOKEN"),
        ("dependabot", "orgs/acme/dependabot/secrets/QSTASH_TOKEN"),
    ] {
        let sink = sink(&github, json!({"organization": "acme", "app": app}));
        let (kind, words) = refusal(sink.as_ref()).await;
        assert_eq!(kind, SinkErrorKind::NotFound);
        assert!(words.contains("once by hand"), "{words}");
        let selected: Vec<u64> = (1..=250).collect();
        github.add_selected_secret(path, selected.clone());
        write(sink.as_ref(), "one").await;
        assert_eq!(github.secret(path).as_deref(), Some("one"));
        assert_eq!(github.selected(path), selected);
    }
}
