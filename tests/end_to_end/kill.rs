//! A run that is killed at any moment loses no token and leaves no partial file, and `sync` repairs it.

use std::fs;
use std::future::ready;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream;
use tokensink_sandbox::Network;
use tokio::process::Child;
use tokio::time::sleep;

use crate::support::wait::until;
use crate::support::world::World;

/// The round-trip time: a run spends most of its time after the reset waiting for responses.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// The number of lines in a journal before the reset is sent: started, intended.
const INTENDED: usize = 2;

/// The number of lines in a complete journal: started, intended, confirmed, one for each sink, settled, finished.
const FINISHED: usize = 9;

/// How often a kill is tried again that came at another moment than intended.
const TRIES_TO_A_STEP: usize = 20;
const MOMENTS: usize = 200;
const TRIES_TO_ALL_MOMENTS: usize = 300;

/// Returns all journals in the state directory.
fn recorded(world: &World) -> String {
    let runs = world.directory.path().join("home/.local/state/tokensink/runs");
    let files = fs::read_dir(runs).into_iter().flatten().flatten();
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

/// Waits until the journal has this many lines, or the program has ended.
async fn at_line(world: &World, child: &mut Child, line: usize) {
    until("a line of the journal", || {
        recorded(world).lines().count() >= line || child.try_wait().unwrap().is_some()
    })
    .await;
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

/// Kills the run. Returns the number of lines in its journal, or `None` if it had ended by itself.
async fn kill(world: &World, mut child: Child) -> Option<usize> {
    child.start_kill().unwrap();
    let status = child.wait().await.unwrap();
    status.signal().map(|_| recorded(world).lines().count())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn is_repaired(world: &World, moment: &str) {
    let text = world.read(".env");
    let is_whole = text.starts_with("A=1\nQSTASH_TOKEN=") && text.ends_with("=\n");
    assert!(is_whole && text.lines().count() == 2, "{moment}: {text:?}");
    assert!(world.read("token").ends_with('='), "{moment}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{moment}: {report}");
    world.assert_everywhere(&world.live());
    assert!(world.posts() <= 1, "{moment}");
    assert!(world.sandbox.upstash.resets(&world.qstash) <= 1, "{moment}");
    // The example sink uses the temporary files of a library, which a kill leaves behind.
    let of_example = |name: &String| name.starts_with(".tmp");
    let left: Vec<String> =
        names(world.directory.path()).into_iter().filter(|name| !of_example(name)).collect();
    assert_eq!(left, [".env", "home", "token", "tokensink.toml"], "{moment}");
}

/// Kills a run as soon as its journal has this many lines. Returns whether it had no more than that.
async fn is_killed_at(line: usize) -> bool {
    let world = far_away().await;
    let mut child = start(&world);
    at_line(&world, &mut child, line).await;
    let killed_at = kill(&world, child).await;
    is_repaired(&world, &format!("at line {line}")).await;
    killed_at == Some(line)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_the_journal() {
    for line in 0..FINISHED {
        let tries = stream::iter(0..TRIES_TO_A_STEP).then(|_| is_killed_at(line));
        assert!(pin!(tries).any(ready).await, "none was killed at line {line}");
    }
}

/// Measures how long a run takes from its intent to its end.
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
    let mut random = fastrand::Rng::with_seed(1);
    let moments = (0..TRIES_TO_ALL_MOMENTS).map(|_| span.mul_f64(random.f64()));
    let hits = stream::iter(moments).map(|moment| async move {
        let world = far_away().await;
        let mut child = start(&world);
        at_line(&world, &mut child, INTENDED).await;
        sleep(moment).await;
        let killed_at = kill(&world, child).await;
        is_repaired(&world, &format!("{moment:?} after the intent")).await;
        killed_at.is_some_and(|line| (INTENDED..FINISHED).contains(&line))
    });
    let hits = hits.buffer_unordered(8).filter(|hit| ready(*hit)).take(MOMENTS).count().await;
    assert_eq!(hits, MOMENTS, "the others came too early or too late");
}
