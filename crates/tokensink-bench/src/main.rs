//! `cargo xtask bench`: measures the outage by the servers' clocks.
//!
//! The fake servers delay each message by half a round trip and use TLS. The program is the release build in
//! a separate process. Other tools are measured with the same fake servers.

mod limits;
mod many;
mod place;
mod plot;
mod table;
mod today;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::place::{Mix, Place};
use crate::table::Row;
use crate::today::Tools;

/// The measured combinations.
const CASES: [(Mix, usize); 8] = [
    (Mix::Dotenv, 1),
    (Mix::GitHub, 1),
    (Mix::Aws, 1),
    (Mix::All, 10),
    (Mix::All, 100),
    (Mix::GitHub, 10),
    (Mix::GitHub, 100),
    (Mix::GitHub, 1000),
];

/// The number of measurements, of which the median is reported.
const RUNS: usize = 11;

type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// Measure the outage by the servers' clocks
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure
    #[arg(long)]
    program: PathBuf,
    /// The directory with the other tools of the peer tests; without them nothing is compared
    #[arg(long, requires = "aws", requires = "redirect")]
    peers: Option<PathBuf>,
    /// The AWS CLI
    #[arg(long)]
    aws: Option<PathBuf>,
    /// The module that redirects the requests of the Upstash CLI to the fake server
    #[arg(long)]
    redirect: Option<PathBuf>,
    /// The file for the chart
    #[arg(long)]
    picture: Option<PathBuf>,
    /// The round trip in milliseconds
    #[arg(long, default_value_t = 50)]
    round_trip: u64,
    /// Measure only this many sinks in memory, in this process
    #[arg(long)]
    in_memory: Option<usize>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(&format!("the bench failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<String, BenchError> {
    if let Some(sinks) = arguments.in_memory {
        return many::in_memory(sinks).await;
    }
    let round_trip = Duration::from_millis(arguments.round_trip);
    let tools = arguments.tools();
    let mut rows = Vec::new();
    for (mix, sinks) in CASES {
        let new = || Place::new(mix, sinks, round_trip);
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(new().await?.measure(&arguments.program).await?);
        }
        runs.sort_by_key(|run| run.outage);
        let ours = runs[RUNS / 2];
        let (mut curl, mut vendors) = (None, None);
        if let Some(tools) = tools.as_ref().filter(|_| is_compared(mix, sinks)) {
            curl = Some(today::curl_loop(&new().await?, tools).await?);
            vendors = Some(today::vendors_tools(&new().await?, tools).await?);
        }
        rows.push(Row { mix, sinks, ours, curl, vendors });
    }
    if let Some(picture) = &arguments.picture {
        plot::draw(&rows, round_trip, picture)?;
    }
    let bare = Place::new(Mix::GitHub, 1, round_trip).await?.bare_round_trip().await?;
    let mut report = table::markdown(&rows, round_trip, bare);
    report += &limits::measure(&arguments.program, round_trip).await?;
    report += &many::table().await?;
    Ok(report)
}

/// Returns whether a combination is measured. With one sink, the combinations would be the same.
fn is_compared(mix: Mix, sinks: usize) -> bool {
    mix == Mix::All || (mix, sinks) == (Mix::GitHub, 1)
}

impl Arguments {
    fn tools(&self) -> Option<Tools> {
        let peers = self.peers.as_ref()?;
        Some(Tools {
            python: peers.join("venv/bin/python"),
            upstash: peers.join("node_modules/@upstash/cli/dist/cli.js"),
            aws: self.aws.clone()?,
            redirect: self.redirect.clone()?,
        })
    }
}

#[expect(clippy::print_stdout, reason = "the result is the program's output")]
fn print(text: &str) {
    println!("{text}");
}
