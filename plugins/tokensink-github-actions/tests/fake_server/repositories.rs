//! Tests of renamed, numerous and unreachable repositories.

use std::net::TcpListener;

use serde_json::json;
use tokensink_core::{Content, SinkErrorKind, Token};
use tokensink_sandbox::GitHub;

use crate::{api_sink, build, github, refusal};

#[tokio::test]
async fn a_renamed_repository_is_found_by_id() {
    let github = github().await;
    github.rename("acme/api", "acme/service");
    let sink = api_sink(&github);
    let prepared = sink.prepare().await.unwrap();
    assert_eq!(prepared.warnings[..1], ["the repository is called acme/service now"]);
    let receipt = prepared.writer.write(&Token::new("one")).await.unwrap();
    let moved = "repos/acme/service/actions/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(moved).as_deref(), Some("one"));
    let seen = sink.inspect(Some(&receipt)).await.unwrap().content;
    assert_eq!(seen, Content::UnchangedSinceOurWrite);
}

/// Prepares each. Returns the paths that were requested, without those of secrets, and the errors.
async fn prepare_all(github: &GitHub, repositories: &[String]) -> (Vec<String>, Vec<String>) {
    let table = json!({"repositories": repositories, "api_url": github.url()});
    let sinks = build(table, &[("GH_TOKEN", github.token())]).unwrap();
    let before = github.requests().len();
    let mut refusals = Vec::new();
    for sink in &sinks {
        if let Err(error) = sink.prepare().await {
            refusals.push(format!("{}: {error}", sink.info().label));
        }
    }
    let asked = github.requests().into_iter().skip(before).map(|request| request.path);
    (asked.filter(|path| !path.contains("/secrets")).collect(), refusals)
}

#[tokio::test]
async fn many_repositories_of_an_organization_are_read_a_hundred_per_request() {
    let github = GitHub::start().await.unwrap();
    let names: Vec<String> = (0..205).map(|one| format!("acme/r{one:03}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    // The owner is a user account, so each repository is read separately.
    let (asked, refusals) = prepare_all(&github, &names[..30]).await;
    assert_eq!((asked.len(), refusals), (1 + 30, Vec::new()));
    github.add_organization("acme");
    github.archive("acme/r003");
    github.make_read_only("acme/r004");
    github.rename("acme/r005", "acme/z");
    let (asked, refusals) = prepare_all(&github, &names[..30]).await;
    let listed = |path: &&String| path.starts_with("/orgs/acme/repos?per_page=100&page=");
    assert_eq!(asked.iter().filter(listed).count(), 3, "{asked:?}");
    // No page contains the old name.
    assert_eq!(asked.iter().filter(|path| path.starts_with("/repos/acme/r005")).count(), 1);
    assert_eq!(asked.iter().filter(|path| path.starts_with("/repositories/")).count(), 1);
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(refusals[0].contains("r003") && refusals[0].contains("archived"), "{refusals:?}");
    assert!(refusals[1].contains("r004") && refusals[1].contains("only read"), "{refusals:?}");
    assert_eq!(refusals.len(), 2);
    // For a few, reading each takes fewer requests.
    assert_eq!(prepare_all(&github, &names[10..13]).await.0[0], "/repos/acme/r010");
}

#[tokio::test]
async fn the_error_for_an_unreachable_server_names_it() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let table = json!({"repositories": ["acme/api"], "api_url": format!("http://{unused}")});
    let sink = build(table, &[("GH_TOKEN", "any")]).unwrap().remove(0);
    let (kind, words) = refusal(sink.as_ref()).await;
    assert_eq!(kind, SinkErrorKind::Transient);
    assert!(words.contains("cannot read the repository at 127.0.0.1"), "{words}");
    assert!(words.contains("check the network") && words.contains("`api_url`"), "{words}");
}
