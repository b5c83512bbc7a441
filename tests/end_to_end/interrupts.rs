//! Ctrl-C, SIGTERM and SIGHUP at every stage: before the reset nothing has changed, after it the first
//! one lets the fan-out finish and the second one abandons it.

use std::process::Output;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::servers;
use crate::world::World;

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

async fn end(child: Child) -> (i32, Value) {
    let (code, report, _) = end_and_words(child).await;
    (code, report)
}

/// The exit code, the document, and what was said on standard error.
async fn end_and_words(child: Child) -> (i32, Value, String) {
    let output: Output =
        timeout(Duration::from_secs(30), child.wait_with_output()).await.unwrap().unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report, String::from_utf8(output.stderr).unwrap())
}

/// Waits until the stand-in for GitHub has seen a request of this method.
async fn seen(world: &World, method: &str) {
    let requests = || world.sandbox.github.requests();
    while !requests().iter().any(|request| request.method == method) {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_reset_it_stops_and_nothing_was_changed() {
    for which in [Signal::INT, Signal::TERM, Signal::HUP] {
        let world = World::new().await;
        let silent = servers::silent().await;
        world.config(&format!(
            "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\napi_url = \"{silent}\"\n"
        ));
        let child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
        while world.sandbox.upstash.qstash_requests().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        signal(&child, which);
        let (code, report) = end(child).await;
        assert_eq!((code, report["errors"][0].as_str()), (1, Some("interrupted")), "{report}");
        assert_eq!(world.posts(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_reset_the_first_one_lets_the_fan_out_finish() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    seen(&world, "PUT").await;
    signal(&child, Signal::INT);
    sleep(Duration::from_millis(300)).await;
    world.sandbox.github.stall_writes(false);
    let (code, report, words) = end_and_words(child).await;
    assert_eq!(code, 0, "{report}");
    assert!(words.contains("a second Ctrl-C abandons it"), "{words}");
    world.assert_everywhere(&world.live());
}

/// The shell and the kernel both tell a process that its terminal is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_terminal_lets_the_fan_out_finish_however_often_it_is_told() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    seen(&world, "PUT").await;
    for _ in 0..3 {
        signal(&child, Signal::HUP);
        sleep(Duration::from_millis(100)).await;
    }
    world.sandbox.github.stall_writes(false);
    let (code, report) = end(child).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_nohup_a_closed_terminal_interrupts_nothing() {
    let world = World::new().await;
    let silent = servers::silent().await;
    world.config(&format!(
        "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\ntimeout = \"4s\"\napi_url = \"{silent}\"\n"
    ));
    let mut command = world.command_after("trap '' HUP", &["check", "--output", "json"]);
    let child = command.spawn().unwrap();
    while world.sandbox.upstash.qstash_requests().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    signal(&child, Signal::HUP);
    let (code, report) = end(child).await;
    assert_eq!(code, 1, "{report}");
    assert!(report["errors"][0].as_str().unwrap().contains("no answer "), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_abandons_it_and_says_so() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    seen(&world, "PUT").await;
    signal(&child, Signal::INT);
    sleep(Duration::from_millis(300)).await;
    signal(&child, Signal::TERM);
    let (code, report) = end(child).await;
    assert!([3, 4].contains(&code), "{report}");
    let ci = report["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "ci").unwrap();
    assert_eq!(ci["state"], "unknown", "{report}");
    assert!(report["next"].to_string().contains("tokensink sync"), "{report}");

    world.sandbox.github.stall_writes(false);
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
}
