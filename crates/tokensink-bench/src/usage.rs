//! Measures the processor time and the memory of a process.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::BenchError;

/// The processor time and the peak memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) processor: Duration,
    pub(crate) peak_mebibytes: f64,
}

/// Runs `command` and measures it every few milliseconds.
pub(crate) async fn watched(mut command: Command) -> Result<(Output, Usage), BenchError> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let child = command.spawn()?;
    let process = child.id().ok_or("the process ended at once")?;
    let mut end = std::pin::pin!(child.wait_with_output());
    let mut usage = Usage::default();
    loop {
        tokio::select! {
            output = &mut end => return Ok((output?, usage)),
            () = sleep(Duration::from_millis(2)) => {
                usage = of(&process.to_string()).unwrap_or(usage);
            }
        }
    }
}

/// Returns the usage of `process` so far (proc(5)). `self` is this process.
pub(crate) fn of(process: &str) -> Option<Usage> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).ok();
    let status = read("status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = peak.split_whitespace().next()?.parse().ok()?;
    // The name in parentheses may contain blanks. User and system time are the 12th and 13th fields after it.
    let stat = read("stat")?;
    let ticks: u64 = stat
        .rsplit(") ")
        .next()?
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    let a_tick = Duration::from_millis(1000 / rustix::param::clock_ticks_per_second().max(1));
    let processor = a_tick * u32::try_from(ticks).ok()?;
    Some(Usage { processor, peak_mebibytes: kibibytes / 1024.0 })
}
