//! Killed at any moment: nothing is lost, nothing is half written, and one `sync` repairs it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream;
use tokensink_sandbox::Network;
use tokio::process::Child;
use tokio::time::sleep;

use crate::world::World;

/// The stand-ins are so far away that a run spends most of its time after the reset on the way.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// The lines of a record until the reset may leave: started, intended.
const INTENDED: usize = 2;

/// What all records in the state folder say.
fn recorded(world: &World) -> String {
    let runs = world.folder.path().join("home/.local/state/tokensink/runs");
    let files = fs::read_dir(runs).into_iter().flatten().flatten();
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

/// Waits until the record has so many lines, or the program has ended.
async fn at_line(world: &World, child: &mut Child, line: usize) {
    while recorded(world).lines().count() < line && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_micros(200)).await;
    }
}

async fn far_away() -> World {
    let world = World::at(&Network::default().with_round_trip(ROUND_TRIP)).await;
    let config = world.read("tokensink.toml").replace("settle = \"2s\"", "settle = \"300ms\"");
    world.file("tokensink.toml", &config);
    world
}

fn start(world: &World) -> Child {
    world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap()
}

/// Kills it. Whether that was in time: after the intent, and before the end.
async fn kill(world: &World, mut child: Child) -> bool {
    child.start_kill().unwrap();
    let killed = child.wait().await.unwrap().signal().is_some();
    let record = recorded(world);
    killed && record.lines().count() >= INTENDED && !record.contains("\"finished\"")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn is_repaired(world: &World, moment: &str) {
    let text = world.read(".env");
    let is_whole = text.starts_with("A=1\nQSTASH_TOKEN=") && text.ends_with("=\n");
    assert!(is_whole && text.lines().count() == 2, "{moment}: {text:?}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{moment}: {report}");
    world.assert_everywhere(&world.live());
    assert!(world.posts() <= 1, "{moment}");
    assert!(world.sandbox.upstash.resets(&world.qstash) <= 1, "{moment}");
    let left = names(world.folder.path());
    assert_eq!(left, [".env", "home", "token", "tokensink.toml"], "{moment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_the_journal() {
    // Started, intended, confirmed, one for each sink, settled, finished.
    for line in 0..=10 {
        let world = far_away().await;
        let mut child = start(&world);
        at_line(&world, &mut child, line).await;
        kill(&world, child).await;
        is_repaired(&world, &format!("at line {line}")).await;
    }
}

/// How long a run takes from its intent to its end.
async fn span() -> Duration {
    let world = far_away().await;
    let mut child = start(&world);
    at_line(&world, &mut child, INTENDED).await;
    let intended = Instant::now();
    assert!(child.wait().await.unwrap().success());
    intended.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_two_hundred_moments_between_the_intent_and_the_end() {
    let span = span().await;
    let mut dice = fastrand::Rng::with_seed(1);
    let moments: Vec<Duration> = (0..200).map(|_| span.mul_f64(dice.f64())).collect();
    let hits = stream::iter(moments).map(async |moment| {
        let world = far_away().await;
        let mut child = start(&world);
        at_line(&world, &mut child, INTENDED).await;
        sleep(moment).await;
        let was_in_time = kill(&world, child).await;
        is_repaired(&world, &format!("{moment:?} after the intent")).await;
        was_in_time
    });
    let hits = hits.buffer_unordered(8).filter(|hit| std::future::ready(*hit)).count().await;
    assert!(hits >= 100, "{hits} of 200 were killed in the middle");
}
