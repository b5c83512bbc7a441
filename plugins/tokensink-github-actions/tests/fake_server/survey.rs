//! Tests of the search for secrets that hide the sink's own.

use std::time::{Duration, Instant};

use serde_json::json;
use tokensink_core::{NearbyValue, SinkErrorKind, Survey, TokenSink};
use tokensink_sandbox::{GitHub, Network};

use crate::{api_sink, build, github, refusal, sink, write};

const ORGANIZATION_SECRET: &str = "orgs/acme/actions/secrets/QSTASH_TOKEN";

async fn survey(sink: &dyn TokenSink) -> Survey {
    sink.survey().await.unwrap()
}

fn places(survey: &Survey) -> Vec<&str> {
    survey.nearby.iter().map(|nearby| nearby.place.as_str()).collect()
}

fn paths(github: &GitHub) -> Vec<String> {
    github.requests().into_iter().map(|request| request.path).collect()
}

#[tokio::test]
async fn an_environment_secret_that_hides_the_repositorys_is_named() {
    let github = github().await;
    github.add_environment("acme/api", "prod/eu");
    github.add_environment("acme/api", "staging");
    let table = json!({"repositories": ["acme/api"], "environment": "prod/eu"});
    let closer = sink(&github, table);
    write(closer.as_ref(), "one").await;
    let hidden = "repos/acme/api/environments/prod%2Feu/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(hidden).as_deref(), Some("one"));

    let nearby = NearbyValue::new("acme/api (environment prod/eu) QSTASH_TOKEN", None)
        .taking_precedence()
        .at_target(closer.info().target.clone());
    let found = survey(api_sink(&github).as_ref()).await;
    assert_eq!(found, Survey::new(vec![nearby], Vec::new()));
    // Nothing is closer than the environment itself.
    assert_eq!(survey(closer.as_ref()).await, Survey::default());
    let table = json!({"repositories": ["acme/api"], "environment": "absent"});
    assert_eq!(refusal(sink(&github, table).as_ref()).await.0, SinkErrorKind::NotFound);
}

#[tokio::test]
async fn environments_of_a_renamed_repository_are_searched() {
    let github = github().await;
    github.add_environment("acme/api", "prod");
    github.rename("acme/api", "acme/service");
    let path = "repos/acme/service/environments/prod/secrets/QSTASH_TOKEN";
    github.put_externally(path, "old");
    let found = survey(api_sink(&github).as_ref()).await;
    assert_eq!(places(&found), ["acme/api (environment prod) QSTASH_TOKEN"]);
    assert_eq!(found.warnings, [""; 0]);
}

#[tokio::test]
async fn thirty_environments_at_a_slow_server_do_not_delay_a_preparation() {
    let network = Network::default().with_round_trip(Duration::from_millis(270));
    let github = GitHub::start_at(&network).await.unwrap();
    github.add_repository("acme/api");
    for number in 0..30 {
        github.add_environment("acme/api", &format!("e{number}"));
    }
    github.put_externally("repos/acme/api/environments/e29/secrets/QSTASH_TOKEN", "old");
    let sink = api_sink(&github);
    sink.prepare().await.unwrap();
    let before = paths(&github);
    assert!(!before.iter().any(|path| path.contains("environments")), "{before:?}");

    let started = Instant::now();
    let found = survey(sink.as_ref()).await;
    assert_eq!(places(&found), ["acme/api (environment e29) QSTASH_TOKEN"]);
    assert_eq!(found.warnings, [""; 0]);
    // One after the other they take 8 s.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let mut arrivals: Vec<Instant> =
        github.requests().into_iter().skip(before.len()).map(|request| request.at).collect();
    arrivals.sort();
    let at_once = |first: &Instant| {
        let window = *first..*first + Duration::from_millis(200);
        arrivals.iter().filter(|at| window.contains(*at)).count()
    };
    let most = arrivals.iter().map(at_once).max();
    assert!(most <= Some(10), "{most:?} at once");
}

#[tokio::test]
async fn environments_beyond_a_hundred_are_reported_as_not_searched() {
    let github = github().await;
    for number in 0..100 {
        github.add_environment("acme/api", &format!("e{number}"));
    }
    assert_eq!(survey(api_sink(&github).as_ref()).await, Survey::default());
    github.add_environment("acme/api", "prod");
    let warnings = survey(api_sink(&github).as_ref()).await.warnings;
    let expected = "only 100 of its 101 environments were searched for a QSTASH_TOKEN of their own";
    assert_eq!(warnings, [expected]);
}

#[tokio::test]
async fn refused_requests_of_a_survey_are_a_warning() {
    let github = github().await;
    for number in 0..60 {
        github.add_environment("acme/api", &format!("e{number:02}"));
    }
    github.put_externally("repos/acme/api/environments/e00/secrets/QSTASH_TOKEN", "old");
    for status in [403, 404, 429] {
        github.refuse_reads("repos/acme/api/environments", status);
        let sink = api_sink(&github);
        let error = sink.survey().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot list the environments: {status}")), "{error}");
        write(sink.as_ref(), "one").await;
    }
    for status in [403, 429] {
        github.refuse_reads("repos/acme/api/environments/e05", status);
        let before = github.requests().len();
        let found = survey(api_sink(&github).as_ref()).await;
        assert_eq!(places(&found), ["acme/api (environment e00) QSTASH_TOKEN"]);
        let [warning] = found.warnings.try_into().unwrap();
        assert!(warning.contains(" of 60 closer places were searched"), "{warning}");
        assert!(warning.contains(&format!("cannot look for a closer secret: {status}")));
        // The others would be refused as well.
        let sent = github.requests().len() - before;
        assert!(sent < 30, "{sent} requests");
    }
}

#[tokio::test]
async fn with_many_sinks_one_reports_that_nothing_was_searched() {
    let github = GitHub::start().await.unwrap();
    let names: Vec<String> = (0..26).map(|one| format!("acme/r{one:02}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    let table = json!({"repositories": names, "api_url": github.url()});
    let sinks = build(table, &[("GH_TOKEN", github.token())]).unwrap();
    for _ in 0..2 {
        let mut warnings = Vec::new();
        for sink in &sinks {
            warnings.extend(survey(sink.as_ref()).await.warnings);
        }
        let [warning] = warnings.try_into().unwrap();
        let expected = "not searched for closer secrets named QSTASH_TOKEN: with 26 sinks";
        assert!(warning.starts_with(expected), "{warning}");
    }
    assert!(!paths(&github).iter().any(|path| path.contains("environments")));
}

#[tokio::test]
async fn a_survey_leaves_enough_requests_for_the_writes() {
    let github = github().await;
    for number in 0..50 {
        github.add_environment("acme/api", &format!("e{number}"));
    }
    github.leave(40);
    let sink = api_sink(&github);
    let warnings = survey(sink.as_ref()).await.warnings;
    assert!(warnings[0].contains("too few requests are left"), "{warnings:?}");
    assert!(github.remaining() > 30);
    write(sink.as_ref(), "one").await;
}

#[tokio::test]
async fn repository_secrets_that_hide_the_organizations_are_named() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    let ids: Vec<u64> = ["acme/api", "acme/web", "acme/old", "acme/site", "acme/other"]
        .map(|name| github.add_repository(name))
        .into();
    github.archive("acme/old");
    github.make_public("acme/site");
    for name in ["web", "old", "site", "other"] {
        github.put_externally(&format!("repos/acme/{name}/actions/secrets/QSTASH_TOKEN"), "own");
    }
    github.add_selected_secret(ORGANIZATION_SECRET, ids[..2].to_vec());
    let sink = sink(&github, json!({"organization": "acme"}));
    for (kind, expected) in [
        ("selected", &["acme/web QSTASH_TOKEN"][..]),
        ("private", &["acme/other QSTASH_TOKEN", "acme/web QSTASH_TOKEN"]),
        ("all", &["acme/other QSTASH_TOKEN", "acme/site QSTASH_TOKEN", "acme/web QSTASH_TOKEN"]),
    ] {
        github.set_visibility(ORGANIZATION_SECRET, kind, &ids[..2]);
        let found = survey(sink.as_ref()).await;
        assert_eq!(places(&found), expected, "{kind}");
        assert_eq!(found.warnings, [""; 0]);
        assert!(found.nearby.iter().all(|nearby| nearby.takes_precedence));
    }
    let closer = super::sink(&github, json!({"repositories": ["acme/web"]}));
    let found = survey(sink.as_ref()).await;
    assert_eq!(found.nearby[2].target.as_ref(), Some(&closer.info().target));
}

#[tokio::test]
async fn repositories_beyond_a_hundred_are_reported_as_not_searched() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    let ids: Vec<u64> =
        (0..130).map(|one| github.add_repository(&format!("acme/r{one}"))).collect();
    github.put_externally("repos/acme/r129/actions/secrets/QSTASH_TOKEN", "own");
    github.add_selected_secret(ORGANIZATION_SECRET, ids);
    let sink = sink(&github, json!({"organization": "acme"}));
    let warnings = survey(sink.as_ref()).await.warnings;
    let expected = "only 100 of its 130 repositories were searched for a QSTASH_TOKEN of their own";
    assert_eq!(warnings, [expected]);
    github.set_visibility(ORGANIZATION_SECRET, "all", &[]);
    let found = survey(sink.as_ref()).await;
    assert_eq!(places(&found), ["acme/r129 QSTASH_TOKEN"]);
    assert!(found.warnings[0].contains("100 repositories that were pushed to last"));
}
