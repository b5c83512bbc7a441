//! `cargo xtask sim`: runs many scenarios on all cores.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Parser;
use tokensink_simulation::{InvariantViolation, run_twice};

/// Run random scenarios of the engine, one for each seed
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of scenarios
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    /// The first seed; with `--runs 1` only its scenario is replayed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Plant the fault of this name in the engine
    #[cfg(feature = "planted-faults")]
    #[arg(long)]
    fault: Option<String>,
    /// List the faults that can be planted
    #[cfg(feature = "planted-faults")]
    #[arg(long)]
    list_faults: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "planted-faults")]
    if let Some(exit_code) = plant(&arguments) {
        return exit_code;
    }
    let Arguments { runs, seed, .. } = arguments;
    match search(seed, runs) {
        None => {
            print(&format!("{runs} scenarios from seed {seed}: no violation"));
            ExitCode::SUCCESS
        }
        Some(violation) => {
            print(&format!(
                "{violation}\nreplay it with: cargo xtask sim --runs 1 --seed {}",
                violation.seed
            ));
            ExitCode::FAILURE
        }
    }
}

/// Plants the requested fault, or lists all faults.
#[cfg(feature = "planted-faults")]
fn plant(arguments: &Arguments) -> Option<ExitCode> {
    use tokensink_engine::{Fault, plant};

    if arguments.list_faults {
        for fault in Fault::ALL {
            print(&format!("{fault:?}\t{}", fault.describe()));
        }
        return Some(ExitCode::SUCCESS);
    }
    let name = arguments.fault.as_deref()?;
    match Fault::ALL.iter().find(|fault| format!("{fault:?}") == name) {
        Some(fault) => {
            plant(*fault);
            None
        }
        None => {
            print(&format!("there is no fault {name}; see --list-faults"));
            Some(ExitCode::from(2))
        }
    }
}

fn search(first: u64, runs: u64) -> Option<Box<InvariantViolation>> {
    let (next, found) = (AtomicU64::new(first), AtomicBool::new(false));
    let search = || {
        while !found.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(runs) {
                return None;
            }
            if let Err(violation) = run_twice(seed) {
                found.store(true, Ordering::Relaxed);
                return Some(violation);
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

#[expect(clippy::print_stdout, reason = "the result is the program's output")]
fn print(text: &str) {
    println!("{text}");
}
