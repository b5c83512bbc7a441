//! `cargo xtask sim`: many lives, on all cores.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Parser;
use tokensink_simulation::{Finding, live};

/// Lives of the coordinator in a made-up world, by seed
#[derive(Debug, Parser)]
struct Arguments {
    /// How many lives
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    /// The first seed; with `--runs 1` this life alone is replayed
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { runs, seed } = Arguments::parse();
    match search(seed, runs) {
        None => {
            tell(&format!("{runs} lives from seed {seed} on: nothing was found"));
            ExitCode::SUCCESS
        }
        Some(finding) => {
            tell(&format!(
                "{finding}\nreplay it with: cargo xtask sim --runs 1 --seed {}",
                finding.seed
            ));
            ExitCode::FAILURE
        }
    }
}

fn search(first: u64, runs: u64) -> Option<Box<Finding>> {
    let (next, found) = (AtomicU64::new(first), AtomicBool::new(false));
    let search = || {
        while !found.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(runs) {
                return None;
            }
            if let Err(finding) = live(seed) {
                found.store(true, Ordering::Relaxed);
                return Some(finding);
            }
        }
        None
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let searches: Vec<_> = (0..cores).map(|_| scope.spawn(search)).collect();
        searches.into_iter().filter_map(|search| search.join().ok().flatten()).next()
    })
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn tell(text: &str) {
    println!("{text}");
}
