//! Somebody else writes to the same place, and the run that would have put both into it dies.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use crate::world::{World, words};

/// Whether a record says that the secret of AWS was written.
fn is_recorded(world: &World) -> bool {
    let runs = world.folder.path().join("home/.local/state/tokensink/runs");
    let files = fs::read_dir(runs).into_iter().flatten().flatten();
    let records: String = files.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    let is_it = |line: &str| line.contains("\"written\"") && line.contains("aws-secrets-manager:");
    records.lines().any(is_it)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbours_key_outlives_the_run_that_dropped_it() {
    let world = World::new().await;
    let before = world.live();
    let theirs = |token: &str| format!("{{\"T\":\"{token}\",\"n\":1.0,\"theirs\":true}}");
    world.sandbox.aws.interfere_with_next_put("prod", &theirs(&before));
    // Keeps the run from looking at the secrets.
    world.sandbox.github.stall_writes(true);
    let mut child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    while !is_recorded(&world) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        sleep(Duration::from_millis(5)).await;
    }
    child.kill().await.unwrap();
    world.sandbox.github.stall_writes(false);
    assert!(!world.sandbox.aws.value("prod").unwrap().contains("theirs"));

    let (code, report) = world.run(&["status"]).await;
    assert!(code == 1 && words(&report).contains("lacks what someone else wrote"), "{report}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(world.sandbox.aws.value("prod").unwrap(), theirs(&world.live()));
    assert_eq!(world.run(&["status"]).await.0, 0);
}
