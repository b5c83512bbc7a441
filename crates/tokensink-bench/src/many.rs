//! Very many sinks, in memory: what the coordinator itself costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokensink_engine::journal::MemoryJournal;
use tokensink_engine::{Command as Asked, Coordinator, Interrupter, Outcome, Parties};
use tokensink_engine::{Silent, Sink, Timing};
use tokensink_testkit::{Calm, Evidence, World};
use tokio::process::Command;

use crate::Failure;
use crate::usage;

/// Resets a token for so many sinks, in this process.
pub(crate) async fn in_memory(sinks: usize) -> Result<String, Failure> {
    let world = World::new(sinks, Calm);
    let (_interrupter, interrupt) = Interrupter::new();
    let sink = |index: usize| Sink {
        name: format!("sink-{index}"),
        kind: "memory".to_owned(),
        required: true,
        priority: 0,
        deadline: Duration::from_secs(60),
        takes_effect: None,
        target: Box::new(world.sink(index, Evidence::Value)),
    };
    let parties = Parties {
        issuer: Arc::new(world.issuer()),
        issuer_id: "made-up".to_owned(),
        sinks: (0..sinks).map(|index| Arc::new(sink(index))).collect(),
        journal: Arc::new(MemoryJournal::default()),
        progress: Arc::new(Silent),
        interrupt,
    };
    let started = Instant::now();
    let coordinator = Coordinator::new(parties, Timing::default()).await?;
    let plan = coordinator.plan(Asked::Reset).await.map_err(|report| format!("{report:?}"))?;
    let report = coordinator.reset(plan).await;
    if report.outcome != Outcome::Complete {
        return Err(format!("it ended {:?}", report.outcome).into());
    }
    let took = started.elapsed();
    let usage = usage::of("self").unwrap_or_default();
    Ok(format!(
        "| in memory | {sinks} | {} | {took:.0?} | {:.0?} | {:.0} MiB |",
        report.outage_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
        usage.processor,
        usage.peak_mebibytes
    ))
}

/// The same, so that neither time nor memory of another run is counted.
pub(crate) async fn in_a_process_of_its_own(sinks: usize) -> Result<String, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--program", "none", "--in-memory", &sinks.to_string()]);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stdout).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
