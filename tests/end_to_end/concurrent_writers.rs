//! Another program writes to the same place, and the run that would have merged both is killed.

use std::fs;

use crate::support::wait::until;
use crate::support::world::World;

/// Returns whether the journal contains a write to the AWS secret.
fn is_recorded(world: &World) -> bool {
    let runs = world.directory.path().join("home/.local/state/tokensink/runs");
    let files = fs::read_dir(runs).into_iter().flatten().flatten();
    let records: String = files.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    let is_it = |line: &str| line.contains("\"written\"") && line.contains("aws-secrets-manager:");
    records.lines().any(is_it)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_program_survives_a_run_that_overwrote_it() {
    let world = World::new().await;
    let before = world.live();
    let theirs = |token: &str| format!("{{\"T\":\"{token}\",\"n\":1.0,\"theirs\":true}}");
    world.sandbox.aws.interfere_with_next_put("prod", &theirs(&before));
    // Keeps the run from inspecting the secrets.
    world.sandbox.github.stall_writes(true);
    let mut child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    until("a recorded write", || {
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        is_recorded(&world)
    })
    .await;
    child.kill().await.unwrap();
    world.sandbox.github.stall_writes(false);
    assert!(!world.sandbox.aws.value("prod").unwrap().contains("theirs"));

    let (code, report) = world.run(&["status"]).await;
    assert!([4, 5].contains(&code), "{report}");
    assert!(report.to_string().contains("has overwritten a concurrent write"), "{report}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(world.sandbox.aws.value("prod").unwrap(), theirs(&world.live()));
    assert_eq!(world.run(&["status"]).await.0, 0);
}
