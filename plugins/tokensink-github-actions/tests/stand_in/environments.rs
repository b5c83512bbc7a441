//! Environments of a repository, whose secrets win over its own.

use serde_json::json;
use tokensink_core::SinkErrorKind;
use tokensink_sandbox::GitHub;

use crate::{api_sink, build, github, refusal, sink, write};

#[tokio::test]
async fn an_environments_name_is_encoded_and_its_secret_hides_the_repositorys() {
    let github = github().await;
    github.add_environment("acme/api", "prod/eu");
    let table = json!({"repositories": ["acme/api"], "environment": "prod/eu"});
    write(sink(&github, table).as_ref(), "one").await;
    let hidden = "repos/acme/api/environments/prod%2Feu/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(hidden).as_deref(), Some("one"));

    let warnings = api_sink(&github).survey().await.unwrap().warnings;
    assert_eq!(warnings, ["the environment prod/eu has a QSTASH_TOKEN of its own, which wins"]);
    let table = json!({"repositories": ["acme/api"], "environment": "absent"});
    assert_eq!(refusal(sink(&github, table).as_ref()).await.0, SinkErrorKind::NotFound);
}

#[tokio::test]
async fn environments_of_a_renamed_repository_are_looked_through() {
    let github = github().await;
    github.add_environment("acme/api", "prod");
    github.rename("acme/api", "acme/service");
    let path = "repos/acme/service/environments/prod/secrets/QSTASH_TOKEN";
    github.put_externally(path, "old");
    let warnings = api_sink(&github).survey().await.unwrap().warnings;
    let hidden = "the environment prod has a QSTASH_TOKEN of its own, which wins";
    assert_eq!(warnings, [hidden]);
}

#[tokio::test]
async fn environments_that_were_not_looked_at_are_said_to_be_there() {
    let github = github().await;
    for number in 0..100 {
        github.add_environment("acme/api", &format!("e{number}"));
    }
    assert_eq!(api_sink(&github).survey().await.unwrap().warnings, [""; 0]);
    github.add_environment("acme/api", "prod");
    let warnings = api_sink(&github).survey().await.unwrap().warnings;
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
    github.put_externally("repos/acme/api/environments/a/secrets/QSTASH_TOKEN", "old");
    for status in [403, 404, 429] {
        github.refuse_reads("repos/acme/api/environments", status);
        let sink = api_sink(&github);
        let [warning] = sink.survey().await.unwrap().warnings.try_into().unwrap();
        let said = "its environments were not searched for a QSTASH_TOKEN of their own: could not \
                    list the environments: ";
        assert!(warning.starts_with(&format!("{said}{status}")), "{warning}");
        write(sink.as_ref(), "one").await;
    }
    for status in [403, 429] {
        github.refuse_reads("repos/acme/api/environments/b", status);
        let before = github.requests().len();
        let warnings = api_sink(&github).survey().await.unwrap().warnings;
        let hidden = "the environment a has a QSTASH_TOKEN of its own, which wins";
        let said = "it has 3 environments, and only 1 were searched for a QSTASH_TOKEN of their \
                    own: could not see an environment's secret: ";
        assert_eq!((warnings.len(), warnings[0].as_str()), (2, hidden));
        assert!(warnings[1].starts_with(&format!("{said}{status}")), "{warnings:?}");
        // The repository, the list and two secrets: c is not asked for.
        assert_eq!(github.requests().len(), before + 4);
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
            warnings.extend(sink.survey().await.unwrap().warnings);
        }
        let [warning] = warnings.try_into().unwrap();
        let said = "no environments were searched for a QSTASH_TOKEN of their own";
        assert!(warning.starts_with(said) && warning.contains("26 sinks"), "{warning}");
    }
    let asked = github.requests();
    assert!(!asked.iter().any(|request| request.path.contains("environments")));
}
