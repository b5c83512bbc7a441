//! The journal: its contents, damaged records, full disks, and unusable state directories.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use tokensink_sandbox::ResetFault;

use crate::support::world::{World, words};

fn runs(world: &World) -> PathBuf {
    world.directory.path().join("home/.local/state/tokensink/runs")
}

fn only_record(world: &World) -> PathBuf {
    fs::read_dir(runs(world)).unwrap().next().unwrap().unwrap().path()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_lists_runs_with_their_outcomes() {
    let world = World::new().await;
    let (code, history) = world.run(&["history"]).await;
    assert_eq!((code, history["runs"].as_array().map(Vec::len)), (0, Some(0)), "{history}");
    world.run(&["reset", "--yes"]).await;
    world.run(&["sync"]).await;
    let (_, history) = world.run(&["history"]).await;
    let (reset, sync) = (&history["runs"][0], &history["runs"][1]);
    assert_eq!(history["schema"], "tokensink.history/1");
    let fields = ["command", "outcome", "reset"].map(|field| reset[field].as_str().unwrap());
    assert_eq!(fields, ["reset", "complete", "confirmed"], "{reset}");
    assert_eq!(reset["sinks"].as_array().unwrap().len(), 4, "{reset}");
    assert!(sync["command"] == "sync" && sync["reset"].is_null(), "{sync}");
    let output = world.finish(world.command(&["history"]), "").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("4 of 4 written") && shown.contains(" -> "), "{shown}");
    let live = tokensink_core::Fingerprint::of(&world.live()).to_string();
    let second = shown.lines().find(|line| line.contains("sync")).unwrap();
    assert!(second.contains(&live) && second.contains("nothing to write"), "{shown}");
    assert!(!shown.contains("next: "), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_when_each_sink_was_written_and_notices_a_write_by_another_program() {
    let world = World::new().await;
    world.run(&["reset", "--yes"]).await;
    let (code, report) = world.run(&["status"]).await;
    assert_eq!(code, 0, "{report}");
    for sink in report["sinks"].as_array().unwrap() {
        assert_eq!(sink["state"], "current", "{sink}");
        assert!(sink["written_at"].is_string(), "{sink}");
    }
    world.sandbox.github.put_externally(crate::support::world::REPOSITORY_SECRET, "theirs");
    let (code, report) = world.run(&["status"]).await;
    let ci = report["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "ci").unwrap();
    assert_eq!((code, ci["state"].as_str()), (0, Some("unknown")), "{report}");
    assert!(ci["evidence"].as_str().unwrap().contains("written by another program"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_does_not_claim_values_that_cannot_be_read() {
    let world = World::new().await;
    let output = world.finish(world.command(&["status"]), "").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let verdict = "3 of 4 targets hold the live token; the values of the others cannot be read";
    assert!(shown.contains(verdict), "{shown}");

    fs::remove_file(world.directory.path().join("token")).unwrap();
    fs::create_dir(world.directory.path().join("token")).unwrap();
    let (code, report) = world.run(&["status"]).await;
    assert!(code == 1 && words(&report).contains("own"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_on_top_of_an_unfinished_one_offers_sync() {
    let world = World::new().await;
    world.sandbox.upstash.fail_next_reset(ResetFault::NoEffect);
    assert_eq!(world.run(&["reset", "--yes"]).await.0, 4);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 1 && words(&report).contains("tokensink sync"), "{report}");
    assert_eq!(world.posts(), 1);
    let history = || async {
        let output = world.finish(world.command(&["history"]), "").await;
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = history().await;
    assert!(shown.contains("perhaps reset") && shown.contains("next: `tokensink sync`"), "{shown}");
    assert_eq!(world.run(&["sync"]).await.0, 0);
    assert!(!history().await.contains("next: "));
    assert_eq!(world.run(&["reset", "--yes"]).await.0, 0);
    assert_eq!(world.posts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_newer_record_stops_a_reset_but_not_a_sync() {
    for (bytes, expected) in [
        (&b"garbage\n"[..], "not a journal line"),
        (b"{\"v\":9,\"entry\":\"later\"}\n", "newer tokensink"),
        (b"\0\0\0\0\n", "not a journal line"),
    ] {
        let world = World::new().await;
        world.run(&["sync"]).await;
        fs::write(only_record(&world), bytes).unwrap();
        let (code, report) = world.run(&["reset", "--yes"]).await;
        assert!(code == 1 && words(&report).contains(expected), "{report}");
        let (code, report) = world.run(&["status"]).await;
        assert!(code == 4 && report["warnings"].to_string().contains(expected), "{report}");
        assert_eq!(world.run(&["sync"]).await.0, 0);
        assert_eq!(world.run(&["reset", "--yes"]).await.0, 0);
        assert_eq!(world.posts(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_state_directory_stops_a_reset_but_not_a_sync() {
    let world = World::new().await;
    let place = |name: &str| world.directory.path().join(name);
    fs::write(place("file"), "").unwrap();
    fs::create_dir(place("real")).unwrap();
    symlink(place("real"), place("link")).unwrap();
    fs::create_dir(place("sealed")).unwrap();
    fs::set_permissions(place("sealed"), fs::Permissions::from_mode(0o500)).unwrap();
    DirBuilder::new().mode(0o700).create(place("locked")).unwrap();
    fs::write(place("locked/locks"), "").unwrap();
    for (name, expected) in [
        ("file", "not a directory"),
        ("link", "symbolic link"),
        ("sealed", "read-only"),
        ("locked", "not a directory"),
    ] {
        let before = world.live();
        let (code, report) = world.run(&["reset", "--yes", "--state-dir", name]).await;
        assert!(code == 1 && words(&report).contains(expected), "{report}");
        assert_eq!((world.posts(), world.live()), (0, before));

        world.sandbox.upstash.reset_externally(&world.qstash);
        // A reset would be refused.
        for (command, code) in [("check", 1), ("status", 5), ("sync", 0), ("status", 0)] {
            let (seen, report) = world.run(&[command, "--state-dir", name]).await;
            assert_eq!(seen, code, "{name} {command}: {report}");
            let warnings = report["warnings"].to_string();
            assert!(warnings.contains(expected), "{name} {command}: {warnings}");
            assert!(warnings.contains("without a journal"), "{name} {command}: {warnings}");
        }
        world.assert_everywhere(&world.live());
    }
    assert!(fs::read_dir(place("real")).unwrap().next().is_none(), "nothing went through the link");

    // A run that fails reports it as well.
    let unreachable = crate::support::servers::unreachable().await;
    for key in ["api_url", "qstash_url"] {
        let url = format!("{key} = \"{unreachable}\"\ntimeout = \"1s\"\n");
        let config = world.read("tokensink.toml");
        let rest = config.lines().filter(|line| !line.starts_with(key) && *line != "[upstash]");
        let rest: String = rest.map(|line| format!("{line}\n")).collect();
        world.file("unreachable.toml", &format!("[upstash]\n{url}{rest}"));
        let arguments = ["sync", "--state-dir", "file", "--config", "unreachable.toml"];
        let (code, report) = world.run(&arguments).await;
        assert_eq!(code, 1, "{report}");
        assert!(report["warnings"].to_string().contains("without a journal"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_home_directory_stops_a_reset_but_not_a_sync() {
    let world = World::new().await;
    let homeless = |arguments: &[&str]| {
        let mut command = world.command(&[arguments, &["--output", "json"]].concat());
        command.env_remove("HOME");
        command
    };
    let output = world.finish(homeless(&["reset", "--yes"]), "").await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), world.posts()), (Some(2), 0), "{report}");
    assert!(words(&report).contains("--state-dir"), "{report}");
    world.sandbox.upstash.reset_externally(&world.qstash);
    let output = world.finish(homeless(&["sync", "--yes"]), "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_read_the_journal() {
    let world = World::new().await;
    world.run(&["reset", "--yes"]).await;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(runs(&world)), 0o700);
    assert_eq!(mode(only_record(&world)), 0o600);
}

/// A sink that cannot represent the token does not keep the others from receiving it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_one_sink_cannot_hold_reaches_the_others() {
    let world = World::new().await;
    world.sandbox.upstash.next_token("it's $odd\"#");
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 3, "{report}");
    let sinks = report["sinks"].as_array().unwrap();
    let state =
        |name: &str| sinks.iter().find(|sink| sink["name"] == name).unwrap()["state"].clone();
    assert_eq!([state("local"), state("ci"), state("own")], ["stale", "current", "current"]);
    assert_eq!(world.read("token"), world.live());
    world.sandbox.upstash.reset_externally(&world.qstash);
    assert_eq!(world.run(&["sync"]).await.0, 0);
    world.assert_everywhere(&world.live());
}

/// Creates a command that runs the program with a limit on the size of files, in KiB, like a full disk.
fn on_a_full_disk(world: &World, blocks: u32, arguments: &[&str]) -> tokio::process::Command {
    let arguments = [arguments, &["--output", "json"]].concat();
    world.command_after(&format!("trap '' XFSZ; ulimit -f {blocks}"), &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_a_reset_before_it_is_sent_but_no_write_after_it() {
    let world = World::new().await;
    let before = world.live();
    let (all, local) = (world.sinks(), "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n");
    for (sinks, culprit) in [(all.clone(), "cannot write it"), (all.replace(local, ""), "journal")]
    {
        world.config(&sinks);
        let output = world.finish(on_a_full_disk(&world, 0, &["reset", "--yes"]), "").await;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.code() == Some(1) && words(&report).contains(culprit), "{report}");
        world.assert_everywhere(&before);
    }
    world.config(&all);

    let output = world.finish(on_a_full_disk(&world, 1, &["reset", "--yes"]), "").await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report["warnings"].to_string().contains("journal is not complete"), "{report}");
    world.assert_everywhere(&world.live());
    world.sandbox.github.put_externally(crate::support::world::REPOSITORY_SECRET, "theirs");
    let output = world.finish(on_a_full_disk(&world, 1, &["sync"]), "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    world.assert_everywhere(&world.live());
}
