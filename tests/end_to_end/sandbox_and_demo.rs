//! `sandbox` and `demo`: the printed commands work, and no files are left.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::world::World;

fn left_behind(world: &World) -> usize {
    fs::read_dir(world.directory.path().join("home/tmp")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_sandbox_prints_work() {
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
async fn sandbox_prints_one_json_document_for_scripts() {
    let world = World::new().await;
    let arguments = ["sandbox", "--output", "json"];
    let mut sandbox = world.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let mut text = String::new();
    let document: Value = loop {
        text += &lines.next_line().await.unwrap().unwrap();
        if let Ok(document) = serde_json::from_str(&text) {
            break document;
        }
    };
    assert_eq!(document["schema"], "tokensink.sandbox/1");
    let config = document["config"]["file"].as_str().unwrap();
    assert_eq!(document["config"]["text"], fs::read_to_string(config).unwrap());
    let mut check = world.command(&["check", "--output", "json", "--config", config]);
    for (name, value) in document["environment"].as_object().unwrap() {
        check.env(name, value.as_str().unwrap());
    }
    let output = check.output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let addresses: Vec<&Value> = document["addresses"].as_object().unwrap().values().collect();
    assert_eq!(addresses.len(), 4, "{document}");

    let process = Pid::from_raw(sandbox.id().unwrap().cast_signed()).unwrap();
    kill_process(process, Signal::INT).unwrap();
    assert_eq!(sandbox.wait().await.unwrap().code(), Some(0));
    assert_eq!(lines.next_line().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_resets_the_token_and_leaves_no_files() {
    let world = World::new().await;
    let output = world.finish(world.command(&["demo"]), "").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert_eq!(shown.matches("the live token").count(), 6 + 1, "{shown}");
    assert!(shown.contains("ready: a reset could finish"), "{shown}");
    assert!(!shown.contains("NOT the live token") && shown.contains("outage: at most"), "{shown}");
    assert_eq!(left_behind(&world), 0);
    // It does not use the account of the user's credentials.
    assert!(world.sandbox.upstash.requests().is_empty());
}
