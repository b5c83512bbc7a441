//! A provider's limit while the fan-out runs: its sinks wait as long as they are told, and no others.

use std::time::{Duration, SystemTime};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_provider_is_waited_for_and_holds_up_nobody() {
    let in_two_seconds = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    for (status, retry_after) in [(403, "1".to_owned()), (429, in_two_seconds())] {
        waits(status, &retry_after).await;
    }
}

async fn waits(status: u16, retry_after: &str) {
    let world = World::new().await;
    world.sandbox.github.limit_next_writes(status, 1, Some(retry_after));
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
    let puts = world.sandbox.github.requests();
    let statuses: Vec<u16> =
        puts.iter().filter(|put| put.method == "PUT").map(|put| put.status).collect();
    assert_eq!(statuses, [status, 204]);
    let sinks = report["sinks"].as_array().unwrap();
    let outage = |name: &str| {
        sinks.iter().find(|sink| sink["name"] == name).unwrap()["outage_ms"].as_u64().unwrap()
    };
    // A date has whole seconds.
    assert!(outage("ci") >= 500, "{report}");
    for name in ["local", "own", "prod"] {
        assert!(outage(name) < outage("ci"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_repositories_fit_into_the_quota_of_an_hour() {
    let world = World::new().await;
    let github = &world.sandbox.github;
    github.add_organization("acme");
    let names: Vec<String> = (0..1000).map(|one| format!("acme/r{one}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    world.config(&format!(
        "[sinks.ci]\nkind = \"github-actions\"\nrepositories = {names:?}\napi_url = \"{}\"\n",
        github.url()
    ));
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!((code, &report["errors"]), (0, &serde_json::json!([])));
    let requests = github.requests();
    let count = |what: &dyn Fn(&str) -> bool| {
        requests.iter().filter(|one| what(&format!("{} {}", one.method, one.path))).count()
    };
    assert_eq!(count(&|one| one.ends_with("/public-key")), 1000);
    assert_eq!(count(&|one| one.starts_with("PUT ")), 1000);
    assert_eq!(count(&|one| one.starts_with("GET ") && one.ends_with("/QSTASH_TOKEN")), 2000);
    assert_eq!(requests.len(), 4000 + 11);
    // Every other write could have been made twice.
    assert!(github.remaining() >= 500, "{}", github.remaining());
}
