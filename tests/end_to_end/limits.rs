//! Rate limits during the writes: the sinks of the limited provider wait for as long as it demands, and no
//! others do.

use std::time::{Duration, SystemTime};

use tokensink_sandbox::ReceivedRequest;

use crate::support::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_provider_does_not_delay_other_sinks() {
    for (status, pause) in [(403, Pause::Seconds(1)), (429, Pause::UntilADate(3))] {
        let world = World::new().await;
        let retry_after = match pause {
            Pause::Seconds(seconds) => seconds.to_string(),
            Pause::UntilADate(seconds) => {
                httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds))
            }
        };
        world.sandbox.github.limit_next_writes(status, 1, Some(&retry_after));
        let (code, report) = world.run(&["reset", "--yes"]).await;
        assert_eq!(code, 0, "{report}");
        world.assert_everywhere(&world.live());
        let requests = world.sandbox.github.requests();
        let refused = requests.iter().position(|request| request.status == status).unwrap();
        // No request is sent before the limit ends.
        let next = &requests[refused + 1];
        assert_eq!((next.method.as_str(), next.status), ("PUT", 204), "{requests:?}");
        let puts_to_aws = world.sandbox.aws.requests();
        let is_put = |request: &&ReceivedRequest| {
            request.operation.as_deref().is_some_and(|name| name.ends_with("PutSecretValue"))
        };
        assert!(puts_to_aws.iter().rfind(is_put).unwrap().at < next.at);
    }
}

enum Pause {
    Seconds(u64),
    UntilADate(u64),
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_are_left_out_need_no_quota() {
    let world = World::new().await;
    let github = &world.sandbox.github;
    let others: Vec<String> = (0..30).map(|one| format!("acme/r{one}")).collect();
    let url = github.url();
    let table = |name: &str, repositories: &[String]| {
        format!(
            "[sinks.{name}]\nkind = \"github-actions\"\nrepositories = {repositories:?}\napi_url = \"{url}\"\n"
        )
    };
    world.config(&(table("ci", &["acme/api".to_owned()]) + &table("others", &others)));
    github.leave(20);
    let (code, report) = world.run(&["check", "--only", "ci"]).await;
    assert_eq!(code, 0, "{report}");
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
    // On a slow machine the first ones expire before the last one is fetched, and are fetched again.
    let keys = count(&|one| one.ends_with("/public-key"));
    assert!((1000..1200).contains(&keys), "{keys}");
    assert_eq!(count(&|one| one.starts_with("PUT ")), 1000);
    assert_eq!(count(&|one| one.starts_with("GET ") && one.ends_with("/QSTASH_TOKEN")), 2000);
    assert_eq!(requests.len(), 3000 + keys + 11);
    // Every other write could have been sent twice.
    assert!(github.remaining() >= 500, "{}", github.remaining());
}
