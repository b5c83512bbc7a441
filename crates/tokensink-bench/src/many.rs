//! Measures the cost of the coordinator itself with many sinks in memory.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use tokensink_engine::journal::MemoryJournal;
use tokensink_engine::{Command as Asked, Coordinator, Interrupter, Outcome, RunContext};
use tokensink_engine::{Silent, Sink, SinkOptions, Timing};
use tokensink_testkit::{AlwaysSucceeds, Evidence, World};
use tokio::process::Command;

use crate::BenchError;
use crate::table::with_commas;
use crate::usage;

/// Resets a token with this number of sinks, in this process.
pub(crate) async fn in_memory(sinks: usize) -> Result<String, BenchError> {
    let world = World::new(sinks, AlwaysSucceeds);
    let (_interrupter, interrupt) = Interrupter::new();
    let sink = |index: usize| {
        let plugin = Box::new(world.sink(index, Evidence::Value));
        Sink::new(format!("sink-{index}"), "memory", SinkOptions::default(), plugin)
    };
    let issuer = Arc::new(world.issuer());
    let context = RunContext {
        source: Arc::clone(&issuer) as Arc<_>,
        source_id: "made-up".to_owned(),
        left_out: Vec::new(),
        other_targets: Vec::new(),
        sinks: (0..sinks).map(|index| Arc::new(sink(index))).collect(),
        journal: Arc::new(MemoryJournal::default()),
        progress: Arc::new(Silent),
        interrupt,
    };
    let started = Instant::now();
    let coordinator = Coordinator::new(context, Timing::default()).await?;
    let plan = coordinator.plan(Asked::Reset).await.map_err(|abort| abort.to_string())?;
    let report = coordinator.reset(plan, issuer).await;
    if report.outcome != Outcome::Complete {
        return Err(format!("it ended {:?}", report.outcome).into());
    }
    let took = started.elapsed();
    let usage = usage::of("self").unwrap_or_default();
    Ok(format!(
        "{sinks} {} {} {} {}",
        report.outage_ms.unwrap_or_default(),
        took.as_micros(),
        usage.processor.as_micros(),
        usage.peak_mebibytes
    ))
}

/// A measurement: the number of sinks, the outage in milliseconds, the duration and the processor time in
/// microseconds, and the memory in MiB.
struct Cost {
    sinks: f64,
    outage: f64,
    took: f64,
    processor: f64,
    mebibytes: f64,
}

/// Returns a table of several sizes with the cost of an additional sink.
pub(crate) async fn table() -> Result<String, BenchError> {
    let mut text =
        "\n| sinks in memory | outage | whole run | CPU | memory |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    let mut costs = Vec::new();
    for sinks in [1, 10, 100, 1000, 10_000] {
        let cost = in_separate_process(sinks).await?;
        let Cost { outage, took, processor, mebibytes, .. } = cost;
        let (took_ms, processor_ms) = (took / 1000.0, processor / 1000.0);
        writeln!(
            text,
            "| {} | {outage:.0} ms | {took_ms:.0} ms | {processor_ms:.0} ms | {mebibytes:.0} MiB |",
            with_commas(sinks)
        )?;
        costs.push(cost);
    }
    writeln!(
        text,
        "\nWhat the coordinator itself takes grows linearly: one more sink costs {:.0} µs of outage, {:.0} µs \
         of CPU and\n{:.1} KiB (least squares).",
        slope(&costs, |cost| cost.outage * 1000.0),
        slope(&costs, |cost| cost.processor),
        slope(&costs, |cost| cost.mebibytes * 1024.0)
    )?;
    Ok(text)
}

/// Returns the slope of the line through the measurements, by least squares.
fn slope(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let count = costs.len() as f64;
    let mean = |of: &dyn Fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>() / count;
    let (sinks, cost) = (mean(&|one| one.sinks), mean(&of));
    let both = |one: &Cost| (one.sinks - sinks) * (of(one) - cost);
    let spread = |one: &Cost| (one.sinks - sinks).powi(2);
    costs.iter().map(both).sum::<f64>() / costs.iter().map(spread).sum::<f64>()
}

/// Measures in a separate process, so that the time and the memory of other measurements are not counted.
async fn in_separate_process(sinks: usize) -> Result<Cost, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--program", "none", "--in-memory", &sinks.to_string()]);
    let output = command.output().await?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    match numbers.as_deref() {
        Ok(&[sinks, outage, took, processor, mebibytes]) if output.status.success() => {
            Ok(Cost { sinks, outage, took, processor, mebibytes })
        }
        _ => Err(text.into()),
    }
}
