//! Consent: the token goes to a set of destinations only after the user agreed to it once.

use std::fs;

use serde_json::Value;

use crate::support::terminal::Terminal;
use crate::support::wait::exit_code;
use crate::support::world::World;

/// Runs `sync` with exactly these arguments and JSON output.
async fn sync(world: &World, arguments: &[&str]) -> (i32, Value) {
    let arguments = [&["sync", "--output", "json"], arguments].concat();
    let output = world.finish(world.command(&arguments), "").await;
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), report)
}

/// A world in which every sink holds an old token.
async fn stale_world() -> (World, String) {
    let world = World::new().await;
    let before = world.live();
    world.sandbox.upstash.reset_externally(&world.qstash);
    (world, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_and_without_a_terminal_sync_writes_nothing() {
    let (world, before) = stale_world().await;
    let (code, report) = sync(&world, &[]).await;
    assert_eq!((code, report["outcome"].as_str()), (1, Some("unchanged")), "{report}");
    assert!(report["errors"][0].as_str().unwrap().contains("not agreed"), "{report}");
    assert!(report["next"][0].as_str().unwrap().contains("sync --yes"), "{report}");
    world.assert_everywhere(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_given_to_sync_or_to_reset_is_remembered() {
    for first in [&["sync", "--yes"][..], &["reset", "--yes"]] {
        let (world, _) = stale_world().await;
        if first[0] == "reset" {
            assert_eq!(sync(&world, &["--yes", "--state-dir", "other-state"]).await.0, 0);
        }
        let arguments = [first, &["--output", "json"]].concat();
        let output = world.finish(world.command(&arguments), "").await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        world.sandbox.upstash.reset_externally(&world.qstash);
        let (code, report) = sync(&world, &[]).await;
        assert_eq!(code, 0, "{report}");
        world.assert_everywhere(&world.live());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_new_destinations_are_asked_about() {
    let (world, _) = stale_world().await;
    assert_eq!(sync(&world, &["--yes"]).await.0, 0);
    world.file("more.env", "QSTASH_TOKEN=old\n");
    let more = "[sinks.more]\nkind = \"dotenv\"\npath = \"more.env\"\n";
    world.config(&format!("{}{more}", world.sinks()));
    for (answer, code) in [("n\n", 1), ("y\n", 0)] {
        let terminal = Terminal::of_width(120);
        let child = terminal.run(world.command(&["sync"]));
        terminal.shows("Write the token there? [y/N]").await;
        let shown = terminal.shown();
        assert!(shown.contains("more (more.env)") && !shown.contains("local (.env)"), "{shown}");
        terminal.type_in(answer);
        assert_eq!(exit_code(child).await, code);
        let is_written = world.read("more.env").contains(&world.live());
        assert_eq!(is_written, code == 0);
    }
    assert_eq!(sync(&world, &[]).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_cannot_be_recorded_is_a_warning() {
    let (world, _) = stale_world().await;
    let state = world.directory.path().join("state");
    assert_eq!(sync(&world, &["--yes", "--state-dir", "state"]).await.0, 0);
    fs::remove_dir_all(state.join("consent")).unwrap();
    fs::write(state.join("consent"), "").unwrap();
    world.sandbox.upstash.reset_externally(&world.qstash);
    assert_eq!(sync(&world, &["--state-dir", "state"]).await.0, 1);
    let (code, report) = sync(&world, &["--yes", "--state-dir", "state"]).await;
    assert_eq!(code, 0, "{report}");
    assert!(report["warnings"].to_string().contains("cannot record the destinations"), "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_outside_the_project_is_shown_before_it_is_written() {
    let (world, _) = stale_world().await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("shell.rc");
    fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
    let more = format!("[sinks.more]\nkind = \"dotenv\"\npath = \"{}\"\n", file.display());
    world.config(&format!("{}{more}", world.sinks()));
    let terminal = Terminal::of_width(200);
    let child = terminal.run(world.command(&["sync"]));
    terminal.shows("Write the token there? [y/N]").await;
    let shown = terminal.shown();
    assert!(shown.contains("outside the directory of the config file"), "{shown}");
    terminal.type_in("n\n");
    assert_eq!(exit_code(child).await, 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "QSTASH_TOKEN=old\n");
}
