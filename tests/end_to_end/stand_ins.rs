//! `sandbox` and `demo`: what they print works, and they leave nothing behind.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::world::World;

fn left_behind(world: &World) -> usize {
    fs::read_dir(world.folder.path().join("home/tmp")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sandbox_prints_is_a_place_to_try_things_out() {
    for signal in [Signal::INT, Signal::TERM] {
        let world = World::new().await;
        let mut sandbox = world.command(&["sandbox"]).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
        let mut check = world.command(&[]);
        let config = loop {
            let line = lines.next_line().await.unwrap().unwrap();
            let unquoted = line.trim_end_matches('\'');
            if let Some((name, value)) =
                unquoted.strip_prefix("export ").and_then(|set| set.split_once("='"))
            {
                check.env(name, value);
            } else if let Some((_, file)) = unquoted.split_once("--config '") {
                break file.to_owned();
            }
        };
        check.args(["check", "--output", "json", "--config", &config]);
        let output = check.output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");

        let process = Pid::from_raw(sandbox.id().unwrap().cast_signed()).unwrap();
        kill_process(process, signal).unwrap();
        assert_eq!(sandbox.wait().await.unwrap().code(), Some(0));
        assert_eq!(left_behind(&world), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_does_the_whole_job_and_leaves_nothing_behind() {
    let world = World::new().await;
    let output = world.finish(world.command(&["demo"]), "").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert_eq!(shown.matches("the live token").count(), 6 + 1, "{shown}");
    assert!(shown.contains("ready: a reset could finish"), "{shown}");
    assert!(!shown.contains("NOT the live token") && shown.contains("outage at most"), "{shown}");
    assert_eq!(left_behind(&world), 0);
    // It asks nobody's real account.
    assert!(world.sandbox.upstash.requests().is_empty());
}
