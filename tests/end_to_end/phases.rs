//! The order of requests: those that do not need the new token are sent before the reset.

use std::time::{Duration, Instant};

use tokensink_sandbox::{Network, ReceivedRequest};

use crate::support::world::World;

/// Returns the requests that arrived after the reset and before the last sink was written.
fn between(
    requests: &[ReceivedRequest],
    reset: Instant,
    end: Instant,
) -> impl Iterator<Item = &ReceivedRequest> {
    requests.iter().filter(move |request| request.at > reset && request.at <= end)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_reset_each_sink_needs_one_request_on_an_open_connection() {
    let far_away = Network::default().with_round_trip(Duration::from_millis(100));
    // Without latency one connection could serve two sinks before the second one opens its own.
    let world = World::at(&far_away).await;
    let (github, aws) = (&world.sandbox.github, &world.sandbox.aws);
    let names: Vec<String> = (0..20).map(|one| format!("acme/r{one}")).collect();
    let mut config = format!(
        "[sinks.ci]\nkind = \"github-actions\"\nrepositories = {names:?}\napi_url = \"{}\"\n",
        github.url()
    );
    for (index, name) in names.iter().enumerate() {
        github.add_repository(name);
        aws.put_externally(&format!("s{index}"), "{\"T\":\"old\",\"n\":1}");
        config += &format!(
            "[sinks.s{index}]\nkind = \"aws-secrets-manager\"\nsecret_id = \"s{index}\"\njson_key = \"T\"\n\
             region = \"eu-central-1\"\nendpoint_url = \"{}\"\n",
            aws.url()
        );
    }
    world.config(&config);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 0, "{report}");

    let posts = world.sandbox.upstash.requests();
    let reset = posts.iter().find(|request| request.method == "POST").unwrap().at;
    let puts = github.requests();
    let last_put = puts.iter().filter(|request| request.method == "PUT").map(|put| put.at).max();
    let last_put = last_put.unwrap();
    let sent: Vec<&str> =
        between(&puts, reset, last_put).map(|request| request.method.as_str()).collect();
    assert_eq!(sent, ["PUT"; 20]);
    let is_put = |request: &&ReceivedRequest| {
        request.operation.as_deref().is_some_and(|name| name.ends_with("PutSecretValue"))
    };
    let calls = aws.requests();
    let last = calls.iter().filter(is_put).map(|put| put.at).max().unwrap();
    assert_eq!(between(&calls, reset, last).count(), 20);
    assert!(between(&calls, reset, last).all(|request| is_put(&request)));
    let upstash = world.sandbox.upstash.connections();
    assert!(!upstash.iter().any(|at| *at >= reset), "the reset had to wait for a connection");
    for (connections, last) in [(github.connections(), last_put), (aws.connections(), last)] {
        let late = connections.iter().filter(|at| **at > reset && **at <= last).count();
        assert_eq!(late, 0, "of {} connections", connections.len());
    }
}
