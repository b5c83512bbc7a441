//! Ctrl-C, SIGTERM and SIGHUP in every phase: before the reset they stop the run, and nothing is changed.
//! After it the writes finish after the first signal, and are abandoned after the second.

use std::process::Output;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Child;
use tokio::time::timeout;

use crate::support::servers;
use crate::support::wait::{until, until_printed};
use crate::support::world::World;

/// Printed after the first signal that is too late to prevent the reset.
const NOTICE: &str = "a second Ctrl-C abandons it";

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits for the end. Returns the exit code and the document.
async fn end(child: Child) -> (i32, Value) {
    let output: Output =
        timeout(Duration::from_secs(30), child.wait_with_output()).await.unwrap().unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

/// Waits until the fake of GitHub has received a request with this method.
async fn until_received(world: &World, method: &str) {
    let has_method = |request: &tokensink_sandbox::ReceivedRequest| request.method == method;
    until("a request at GitHub", || world.sandbox.github.requests().iter().any(has_method)).await;
}

/// Waits until QStash has received a request: the run has started.
async fn until_started(world: &World) {
    until("a request at QStash", || !world.sandbox.upstash.qstash_requests().is_empty()).await;
}

/// Waits until the program has noticed a first signal after the reset.
async fn until_noticed(child: &mut Child) {
    let mut stderr = child.stderr.take().unwrap();
    until_printed(&mut stderr, NOTICE).await;
    child.stderr = Some(stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_reset_a_signal_stops_the_run_and_nothing_was_changed() {
    for which in [Signal::INT, Signal::TERM, Signal::HUP] {
        let world = World::new().await;
        let silent = servers::silent().await;
        world.config(&format!(
            "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\napi_url = \"{silent}\"\n"
        ));
        let child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
        until_started(&world).await;
        signal(&child, which);
        let (code, report) = end(child).await;
        assert_eq!((code, report["errors"][0].as_str()), (1, Some("interrupted")), "{report}");
        assert_eq!(world.posts(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_reset_the_writes_finish_after_the_first_signal() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let mut child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    until_received(&world, "PUT").await;
    signal(&child, Signal::INT);
    until_noticed(&mut child).await;
    world.sandbox.github.stall_writes(false);
    let (code, report) = end(child).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
}

/// The shell and the kernel both send SIGHUP when a terminal is closed.
#[tokio::test(flavor = "multi_thread")]
async fn the_writes_finish_after_repeated_signals_of_a_closed_terminal() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let mut child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    until_received(&world, "PUT").await;
    signal(&child, Signal::HUP);
    until_noticed(&mut child).await;
    for _ in 0..3 {
        signal(&child, Signal::HUP);
    }
    world.sandbox.github.stall_writes(false);
    let (code, report) = end(child).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_nohup_a_closed_terminal_does_not_interrupt_a_run() {
    let world = World::new().await;
    let silent = servers::silent().await;
    world.config(&format!(
        "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\ntimeout = \"4s\"\napi_url = \"{silent}\"\n"
    ));
    let mut command = world.command_after("trap '' HUP", &["check", "--output", "json"]);
    let child = command.spawn().unwrap();
    until_started(&world).await;
    signal(&child, Signal::HUP);
    let (code, report) = end(child).await;
    assert_eq!(code, 1, "{report}");
    // The client's timeout and the engine's end together: either may be reported.
    let error = report["errors"][0].as_str().unwrap();
    assert!(error.contains("no answer ") || error.contains("no response "), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_abandons_the_writes_and_the_report_shows_it() {
    let world = World::new().await;
    world.sandbox.github.stall_writes(true);
    let mut child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    until_received(&world, "PUT").await;
    signal(&child, Signal::INT);
    until_noticed(&mut child).await;
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
