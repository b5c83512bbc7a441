//! `cargo xtask bench`: how long the outage is, by the servers' clocks.
//!
//! The stand-ins are half a round trip away in each direction; the program is the release build, as
//! a process of its own. What people do today runs against the same stand-ins: a loop of `curl`
//! calls, with everything that can be had beforehand fetched beforehand.

mod curl_loop;
mod many;
mod place;
mod table;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::place::{Mix, Place};
use crate::table::Row;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the outage is, by the servers' clocks
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure
    #[arg(long)]
    program: PathBuf,
    /// The Python of the peer tests, whose PyNaCl seals boxes for the curl loop; without it the
    /// loop is left out
    #[arg(long)]
    python: Option<PathBuf>,
    /// A round trip, in milliseconds
    #[arg(long, default_value_t = 50)]
    round_trip: u64,
    /// Measure this many sinks in memory, in this process, and nothing else
    #[arg(long)]
    in_memory: Option<usize>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(report) => {
            tell(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&format!("the bench failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<String, Failure> {
    if let Some(sinks) = arguments.in_memory {
        return many::in_memory(sinks).await;
    }
    let round_trip = Duration::from_millis(arguments.round_trip);
    let mut rows = Vec::new();
    for (mix, sinks) in
        [(Mix::All, 1), (Mix::All, 10), (Mix::All, 100), (Mix::GitHub, 100), (Mix::GitHub, 1000)]
    {
        let place = Place::new(mix, sinks, round_trip).await?;
        let ours = place.measure(&arguments.program).await?;
        let loops = match &arguments.python {
            Some(python) if sinks <= 100 => {
                let place = Place::new(mix, sinks, round_trip).await?;
                Some(curl_loop::measure(&place, python).await?)
            }
            _ => None,
        };
        rows.push(Row { mix, sinks, ours, loops });
    }
    let mut report = table::markdown(&rows, round_trip);
    for sinks in [1, 10, 100, 1000, 10_000] {
        report += &many::in_a_process_of_its_own(sinks).await?;
    }
    Ok(report)
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn tell(text: &str) {
    println!("{text}");
}
