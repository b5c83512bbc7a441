//! Killed at any moment: nothing is lost, nothing is half written, and one `sync` repairs it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::time::sleep;

use crate::world::World;

/// When the program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// As soon as its record has so many lines.
    AtLine(usize),
}

/// The lines of all records in the state folder.
fn recorded(world: &World) -> usize {
    let runs = world.folder.path().join("home/.local/state/tokensink/runs");
    let files = fs::read_dir(runs).into_iter().flatten().flatten();
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default().lines().count()).sum()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn killed_and_repaired(moment: Moment) {
    let world = World::new().await;
    let config = world.read("tokensink.toml").replace("settle = \"2s\"", "settle = \"300ms\"");
    world.file("tokensink.toml", &config);
    let mut child = world.command(&["reset", "--yes", "--output", "json"]).spawn().unwrap();
    match moment {
        Moment::After(pause) => sleep(pause).await,
        Moment::AtLine(line) => {
            while recorded(&world) < line && child.try_wait().unwrap().is_none() {
                sleep(Duration::from_micros(200)).await;
            }
        }
    }
    // It may have come to its end before.
    let _ = child.kill().await;

    let text = world.read(".env");
    let is_whole = text.starts_with("A=1\nQSTASH_TOKEN=") && text.ends_with("=\n");
    assert!(is_whole && text.lines().count() == 2, "{moment:?}: {text:?}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{moment:?}: {report}");
    world.assert_everywhere(&world.live());
    assert!(world.posts() <= 1, "{moment:?}");
    assert!(world.sandbox.upstash.resets(&world.qstash) <= 1, "{moment:?}");
    let left = names(world.folder.path());
    assert_eq!(left, [".env", "home", "token", "tokensink.toml"], "{moment:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_the_journal() {
    // Started, intended, confirmed, one for each sink, settled, finished.
    for line in 0..=10 {
        killed_and_repaired(Moment::AtLine(line)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_two_hundred_moments() {
    let moments = (0..200).map(|one| Moment::After(Duration::from_micros(one * 1500)));
    stream::iter(moments).for_each_concurrent(4, killed_and_repaired).await;
}
