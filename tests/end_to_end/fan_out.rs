//! Writes after the reset that providers throttle or refuse, or that two machines send at once.

use serde_json::Value;

use crate::support::wait::until;
use crate::support::world::World;

fn sink<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_write_is_retried() {
    let world = World::new().await;
    world.sandbox.aws.throttle_next_puts(2);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!((code, &sink(&report, "prod")["attempts"]), (0, &Value::from(3)), "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_expires_during_the_writes_affects_its_own_sink_only() {
    let world = World::new().await;
    let before = world.live();
    // A credential that is rejected after the reset is tried again for this long: it may be renewed.
    let sinks = world.sinks().replace("json_key = \"T\"", "json_key = \"T\"\ntimeout = \"2s\"");
    world.config(&sinks);
    world.sandbox.aws.expire_at_next_put();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 3, "{report}");
    for name in ["local", "own", "ci"] {
        assert_eq!(sink(&report, name)["state"], "current", "{report}");
    }
    let prod = sink(&report, "prod");
    assert!(prod["state"] != "current" && prod["attempts"].as_u64() >= Some(1), "{report}");
    assert!(prod["error"].as_str().unwrap().contains("sign in again"), "{report}");
    assert!(world.sandbox.aws.value("prod").unwrap().contains(&before));
    assert!(report["next"][0].as_str().unwrap().contains("tokensink sync"), "{report}");
    world.sandbox.aws.renew_credentials();
    assert_eq!(world.run(&["sync"]).await.0, 0);
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_that_sync_at_once_lose_nothing() {
    let world = World::new().await;
    world.file(".env", "A=1\nQSTASH_TOKEN=old\nTHEIRS=old\n");
    world.sandbox.aws.put_externally("prod", "{\"T\":\"old\",\"n\":1.0,\"U\":\"old\"}");
    let ours = world.sinks();
    let theirs = ours
        .replace("path = \".env\"", "path = \".env\"\nkey = \"THEIRS\"")
        .replace("json_key = \"T\"", "json_key = \"U\"");
    world.config(&theirs);
    let other = world.read("tokensink.toml");
    world.file("other.toml", &other);
    world.config(&ours);
    // Another machine has another journal, and so another lock.
    let there = ["sync", "--config", "other.toml", "--state-dir", "there"];
    let (here, there) = tokio::join!(world.run(&["sync"]), world.run(&there));
    assert_eq!((here.0, there.0), (0, 0), "{} {}", here.1, there.1);
    let live = world.live();
    assert_eq!(world.read(".env"), format!("A=1\nQSTASH_TOKEN={live}\nTHEIRS={live}\n"));
    let both = format!("{{\"T\":\"{live}\",\"n\":1.0,\"U\":\"{live}\"}}");
    assert_eq!(world.sandbox.aws.value("prod").unwrap(), both);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_reports_the_process_that_holds_the_lock() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let mut first = world.command(&["reset", "--yes"]).spawn().unwrap();
    until("the reset", || world.posts() > 0).await;
    let (code, report) = world.run(&["sync"]).await;
    let said = report["errors"][0].as_str().unwrap();
    assert!(code == 1 && said.contains("`tokensink reset`, process "), "{report}");
    world.sandbox.github.stall_writes(false);
    first.kill().await.unwrap();
    assert_eq!(world.run(&["sync"]).await.0, 0);
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visibility_that_changes_during_the_write_is_a_warning() {
    let world = World::new().await;
    let (github, path) = (&world.sandbox.github, "orgs/acme/actions/secrets/QSTASH_TOKEN");
    github.add_organization("acme");
    github.add_selected_secret(path, vec![7]);
    github.put_externally(path, &world.live());
    let url = github.url();
    world.config(&format!(
        "[sinks.org]\nkind = \"github-actions\"\norganization = \"acme\"\napi_url = \"{url}\"\n"
    ));
    github.set_visibility_after_next_write("selected", &[8]);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 0, "{report}");
    assert!(report["warnings"].to_string().contains("visibility was changed"), "{report}");
    assert_eq!(github.secret(path), Some(world.live()));
}
