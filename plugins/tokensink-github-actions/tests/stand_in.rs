//! The sink against the stand-in for GitHub.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokensink_core::{Holds, Receipt, SinkError, SinkErrorKind, Token, TokenSink};
use tokensink_github_actions as _;
use tokensink_sandbox::GitHub;

const SECRET: &str = "repos/acme/api/actions/secrets/QSTASH_TOKEN";

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("github-actions", table, variables)
}

fn sink(github: &GitHub, mut table: Value) -> Box<dyn TokenSink> {
    table["api_url"] = json!(github.url());
    build(table, &[("GH_TOKEN", github.token())]).unwrap().remove(0)
}

fn api_sink(github: &GitHub) -> Box<dyn TokenSink> {
    sink(github, json!({"repositories": ["acme/api"]}))
}

async fn write(sink: &dyn TokenSink, token: &str) -> Receipt {
    sink.prepare().await.unwrap().write(&Token::new(token)).await.unwrap()
}

async fn refusal(sink: &dyn TokenSink) -> (SinkErrorKind, String) {
    let error = sink.prepare().await.unwrap_err();
    (error.kind(), format!("{error} {}", error.advice().unwrap_or_default()))
}

async fn github() -> GitHub {
    let github = GitHub::start().await.unwrap();
    github.add_repository("acme/api");
    github
}

#[tokio::test]
async fn a_prepared_write_is_one_put() {
    let github = github().await;
    let sink = api_sink(&github);
    let prepared = sink.prepare().await.unwrap();
    let before = github.requests();
    let asked: Vec<String> =
        before.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(
        asked,
        [
            "GET /repos/acme/api",
            "GET /repos/acme/api/environments?per_page=100",
            "GET /repos/acme/api/actions/secrets/public-key",
        ]
    );
    assert_eq!(github.secret(SECRET), None);

    let receipt = prepared.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
    let after = github.requests();
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!((after.last().unwrap().method.as_str(), after.last().unwrap().status), ("PUT", 201));

    let token = Token::new("one");
    assert_eq!(sink.inspect(&token, Some(&receipt)).await.unwrap(), Holds::LastWriteIsOurs);
    assert!(matches!(sink.inspect(&token, None).await.unwrap(), Holds::Unknown { .. }));
    prepared.write(&token).await.unwrap();
    assert_eq!(github.requests().last().unwrap().status, 204);
}

#[tokio::test]
async fn a_strangers_write_is_seen() {
    let github = github().await;
    let sink = api_sink(&github);
    assert_eq!(sink.inspect(&Token::new("one"), None).await.unwrap(), Holds::Nothing);
    let receipt = write(sink.as_ref(), "one").await;
    github.put_as_stranger(SECRET, "theirs");
    let seen = sink.inspect(&Token::new("one"), Some(&receipt)).await.unwrap();
    assert_eq!(seen, Holds::AnotherValue);
}

#[tokio::test]
async fn a_strangers_write_is_told_from_ours_by_its_second() {
    let github = github().await;
    let sink = api_sink(&github);
    let token = Token::new("one");
    let receipt = write(sink.as_ref(), "one").await;
    let written: i64 = receipt.get("written_at").unwrap().parse().unwrap();
    let cases = [
        // Before the answer, as ours is.
        (-2, Holds::LastWriteIsOurs),
        (0, Holds::LastWriteIsOurs),
        // GitHub may round the second of ours up: this one cannot be told from it.
        (1, Holds::LastWriteIsOurs),
        (2, Holds::AnotherValue),
        (3, Holds::AnotherValue),
        (-3, Holds::AnotherValue),
    ];
    for (later, expected) in cases {
        github.put_as_stranger_at(SECRET, "theirs", written + later);
        let seen = sink.inspect(&token, Some(&receipt)).await.unwrap();
        assert_eq!(seen, expected, "{later}");
    }
}

#[tokio::test]
async fn a_key_that_was_rotated_is_fetched_again() {
    let github = github().await;
    let prepared = api_sink(&github).prepare().await.unwrap();
    github.rotate_key();
    prepared.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
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

#[tokio::test]
async fn an_environments_name_is_encoded_and_its_secret_hides_the_repositorys() {
    let github = github().await;
    github.add_environment("acme/api", "prod/eu");
    let table = json!({"repositories": ["acme/api"], "environment": "prod/eu"});
    write(sink(&github, table).as_ref(), "one").await;
    let hidden = "repos/acme/api/environments/prod%2Feu/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(hidden).as_deref(), Some("one"));

    let warnings = api_sink(&github).prepare().await.unwrap().warnings();
    assert_eq!(warnings, ["the environment prod/eu has a QSTASH_TOKEN of its own, which wins"]);
    let table = json!({"repositories": ["acme/api"], "environment": "absent"});
    assert_eq!(refusal(sink(&github, table).as_ref()).await.0, SinkErrorKind::NotFound);
}

#[tokio::test]
async fn a_renamed_repository_is_found_by_id() {
    let github = github().await;
    github.rename("acme/api", "acme/service");
    let sink = api_sink(&github);
    let prepared = sink.prepare().await.unwrap();
    assert_eq!(prepared.warnings(), ["it is called acme/service now"]);
    let receipt = prepared.write(&Token::new("one")).await.unwrap();
    let moved = "repos/acme/service/actions/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(moved).as_deref(), Some("one"));
    let seen = sink.inspect(&Token::new("one"), Some(&receipt)).await.unwrap();
    assert_eq!(seen, Holds::LastWriteIsOurs);
}

#[tokio::test]
async fn environments_of_a_renamed_repository_are_looked_through() {
    let github = github().await;
    github.add_environment("acme/api", "prod");
    github.rename("acme/api", "acme/service");
    let path = "repos/acme/service/environments/prod/secrets/QSTASH_TOKEN";
    github.put_as_stranger(path, "old");
    let warnings = api_sink(&github).prepare().await.unwrap().warnings();
    let hidden = "the environment prod has a QSTASH_TOKEN of its own, which wins";
    assert_eq!(warnings, ["it is called acme/service now", hidden]);
}

#[tokio::test]
async fn environments_that_were_not_looked_at_are_said_to_be_there() {
    let github = github().await;
    for number in 0..100 {
        github.add_environment("acme/api", &format!("e{number}"));
    }
    assert_eq!(api_sink(&github).prepare().await.unwrap().warnings(), [""; 0]);
    github.add_environment("acme/api", "prod");
    let warnings = api_sink(&github).prepare().await.unwrap().warnings();
    let said =
        "it has 101 environments, and only 100 were searched for a QSTASH_TOKEN of their own";
    assert_eq!(warnings, [said]);
}

#[tokio::test]
async fn environments_that_may_not_be_looked_at_are_told_and_stop_nothing() {
    let github = github().await;
    for name in ["a", "b", "c"] {
        github.add_environment("acme/api", name);
    }
    github.put_as_stranger("repos/acme/api/environments/a/secrets/QSTASH_TOKEN", "old");
    for status in [403, 404, 429] {
        github.refuse_reads("repos/acme/api/environments", status);
        let prepared = api_sink(&github).prepare().await.unwrap();
        let [warning] = prepared.warnings().try_into().unwrap();
        let said = "its environments were not searched for a QSTASH_TOKEN of their own: could not \
                    list the environments: ";
        assert!(warning.starts_with(&format!("{said}{status}")), "{warning}");
        prepared.write(&Token::new("one")).await.unwrap();
    }
    for status in [403, 429] {
        github.refuse_reads("repos/acme/api/environments/b", status);
        let before = github.requests().len();
        let warnings = api_sink(&github).prepare().await.unwrap().warnings();
        let hidden = "the environment a has a QSTASH_TOKEN of its own, which wins";
        let said = "it has 3 environments, and only 1 were searched for a QSTASH_TOKEN of their \
                    own: could not see an environment's secret: ";
        assert_eq!((warnings.len(), warnings[0].as_str()), (2, hidden));
        assert!(warnings[1].starts_with(&format!("{said}{status}")), "{warnings:?}");
        // The repository, the list, two secrets and the key: c is not asked for.
        assert_eq!(github.requests().len(), before + 5);
    }
}

#[tokio::test]
async fn with_many_sinks_one_says_that_no_environments_were_looked_at() {
    let github = GitHub::start().await.unwrap();
    let names: Vec<String> = (0..26).map(|one| format!("acme/r{one:02}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    let table = json!({"repositories": names, "api_url": github.url()});
    let sinks = build(table, &[("GH_TOKEN", github.token())]).unwrap();
    // Twice, as before and after a person has said yes.
    for _ in 0..2 {
        let mut warnings = Vec::new();
        for sink in &sinks {
            warnings.extend(sink.prepare().await.unwrap().warnings());
        }
        let [warning] = warnings.try_into().unwrap();
        let said = "no environments were searched for a QSTASH_TOKEN of their own";
        assert!(warning.starts_with(said) && warning.contains("26 sinks"), "{warning}");
    }
    let asked = github.requests();
    assert!(!asked.iter().any(|request| request.path.contains("environments")));
}

#[tokio::test]
async fn codespaces_take_secrets_from_an_admin_alone() {
    let github = github().await;
    github.make_push_only("acme/api");
    for app in ["actions", "dependabot"] {
        let table = json!({"repositories": ["acme/api"], "app": app});
        write(sink(&github, table).as_ref(), "one").await;
    }
    let table = json!({"repositories": ["acme/api"], "app": "codespaces"});
    let (kind, words) = refusal(sink(&github, table.clone()).as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("admin"), "{words}");
    let github = self::github().await;
    write(sink(&github, table).as_ref(), "one").await;
    let path = "repos/acme/api/codespaces/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(path).as_deref(), Some("one"));
}

#[tokio::test]
async fn each_unfit_repository_is_refused_with_its_reason() {
    let github = github().await;
    let absent = sink(&github, json!({"repositories": ["acme/absent"]}));
    let (kind, words) = refusal(absent.as_ref()).await;
    assert!(kind == SinkErrorKind::NotFound && words.contains("may not see"), "{words}");
    github.make_read_only("acme/api");
    let (kind, words) = refusal(api_sink(&github).as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("may only read"), "{words}");
    github.archive("acme/api");
    let (kind, words) = refusal(api_sink(&github).as_ref()).await;
    assert!(kind == SinkErrorKind::Refused && words.contains("archived"), "{words}");
}

#[tokio::test]
async fn a_wrong_token_is_named_by_its_variable_and_never_shown() {
    let github = github().await;
    let table =
        json!({"repositories": ["acme/api"], "api_url": github.url(), "token_env": "CI_TOKEN"});
    let unset = build(table.clone(), &[("GH_TOKEN", github.token())]).unwrap().remove(0);
    let (kind, words) = refusal(unset.as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("CI_TOKEN is not set"), "{words}");
    assert!(github.requests().is_empty());
    let wrong = build(table, &[("CI_TOKEN", "ghp_wrong_0123456789")]).unwrap().remove(0);
    let (kind, words) = refusal(wrong.as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("401"), "{words}");
    assert!(!format!("{words}{wrong:?}").contains("ghp_wrong"), "{words}");
}

#[tokio::test]
async fn a_quota_that_would_not_last_stops_before_the_reset() {
    let github = github().await;
    github.leave(6);
    let (kind, words) = refusal(api_sink(&github).as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("3 requests are left"), "{words}");
    assert!(words.contains("4 may be needed"), "{words}");
    github.leave(7);
    let sink = api_sink(&github);
    sink.prepare().await.unwrap();
    // The key is known by now, and somebody else used the token meanwhile.
    github.leave(3);
    let (kind, words) = refusal(sink.as_ref()).await;
    assert!(kind == SinkErrorKind::Denied && words.contains("3 may be needed"), "{words}");
    github.leave(0);
    let sink = api_sink(&github);
    let before = github.requests().len();
    for _ in 0..2 {
        let (kind, _) = refusal(sink.as_ref()).await;
        let SinkErrorKind::Limited { wait } = kind else { panic!("{kind:?}") };
        assert!((3500..=3601).contains(&wait.as_secs()), "{wait:?}");
    }
    // The second one knows it, and does not ask.
    assert_eq!(github.requests().len(), before + 1);
}

#[tokio::test]
async fn a_github_that_cannot_be_reached_is_named() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let table = json!({"repositories": ["acme/api"], "api_url": format!("http://{nobody}")});
    let sink = build(table, &[("GH_TOKEN", "any")]).unwrap().remove(0);
    let (kind, words) = refusal(sink.as_ref()).await;
    assert_eq!(kind, SinkErrorKind::Transient);
    assert!(words.contains("see the repository at 127.0.0.1"), "{words}");
    assert!(words.contains("see the network") && words.contains("`api_url`"), "{words}");
}

/// Prepares each; returns the paths that were asked for, without those of keys, and the refusals.
async fn prepare_all(github: &GitHub, repositories: &[String]) -> (Vec<String>, Vec<String>) {
    let table = json!({"repositories": repositories, "api_url": github.url()});
    let sinks = build(table, &[("GH_TOKEN", github.token())]).unwrap();
    let before = github.requests().len();
    let mut refusals = Vec::new();
    for sink in &sinks {
        if let Err(error) = sink.prepare().await {
            refusals.push(format!("{sink}: {error}"));
        }
    }
    let asked = github.requests().into_iter().skip(before).map(|request| request.path);
    (asked.filter(|path| !path.ends_with("public-key")).collect(), refusals)
}

#[tokio::test]
async fn many_repositories_of_an_organization_are_seen_a_hundred_at_once() {
    let github = GitHub::start().await.unwrap();
    let names: Vec<String> = (0..205).map(|one| format!("acme/r{one:03}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    // The owner is a person: each is asked for by itself.
    let (asked, refusals) = prepare_all(&github, &names[..30]).await;
    assert_eq!((asked.len(), refusals), (1 + 30, Vec::new()));
    github.add_organization("acme");
    github.archive("acme/r003");
    github.make_read_only("acme/r004");
    github.rename("acme/r005", "acme/z");
    let (asked, refusals) = prepare_all(&github, &names[..30]).await;
    let listed = |path: &&String| path.starts_with("/orgs/acme/repos?per_page=100&page=");
    assert_eq!(asked.iter().filter(listed).count(), 3, "{asked:?}");
    // By its old name it is on no page.
    assert_eq!(asked.iter().filter(|path| path.starts_with("/repos/acme/r005")).count(), 1);
    assert_eq!(asked.iter().filter(|path| path.starts_with("/repositories/")).count(), 1);
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(refusals[0].contains("r003") && refusals[0].contains("archived"), "{refusals:?}");
    assert!(refusals[1].contains("r004") && refusals[1].contains("only read"), "{refusals:?}");
    assert_eq!(refusals.len(), 2);
    // A few are cheaper by themselves.
    assert_eq!(prepare_all(&github, &names[10..13]).await.0[0], "/repos/acme/r010");
}

#[tokio::test]
async fn sinks_that_do_not_take_part_are_not_counted() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    let names: Vec<String> = (0..31).map(|one| format!("acme/r{one:02}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    // What one sink needs: three requests, and four to come.
    github.leave(7);
    let table = json!({"repositories": names, "api_url": github.url()});
    let mut sinks = build(table, &[("GH_TOKEN", github.token())]).unwrap();
    sinks.truncate(1);
    sinks[0].prepare().await.unwrap();
    let asked: Vec<String> = github.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(
        asked,
        [
            "/repos/acme/r00",
            "/repos/acme/r00/environments?per_page=100",
            "/repos/acme/r00/actions/secrets/public-key",
        ]
    );
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
    prepared.write(&Token::new("one")).await.unwrap_err();
    sink.prepare().await.unwrap();
    assert_eq!(keys(), 2);
    // A server that counts no requests is asked again: that keeps its connections.
    github.count_no_requests();
    let uncounted = api_sink(&github);
    uncounted.prepare().await.unwrap();
    uncounted.prepare().await.unwrap();
    assert_eq!(keys(), 4);
    github.rename("acme/api", "acme/moved");
    sink.prepare().await.unwrap().write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret("repos/acme/moved/actions/secrets/QSTASH_TOKEN").unwrap(), "one");
}

#[tokio::test]
async fn a_limit_is_a_pause_of_the_length_that_github_names() {
    let github = github().await;
    let prepared = api_sink(&github).prepare().await.unwrap();
    let in_a_while = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(17));
    for (status, said, seconds) in [
        (403, Some("17"), 17..=17),
        (429, Some("17"), 17..=17),
        (429, Some(in_a_while.as_str()), 15..=18),
        (403, None, 60..=60),
        (429, None, 60..=60),
    ] {
        github.limit_next_writes(status, 1, said);
        let error = prepared.write(&Token::new("one")).await.unwrap_err();
        let SinkErrorKind::Limited { wait } = error.kind() else { panic!("{status}: {error}") };
        assert!(seconds.contains(&wait.as_secs()), "{status} {said:?}: {wait:?}");
    }
    prepared.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
}
