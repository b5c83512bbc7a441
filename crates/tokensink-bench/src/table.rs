//! The measurements as tables for the README.

use std::time::Duration;

use crate::place::{Measured, Mix};

/// One place, measured.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) mix: Mix,
    pub(crate) sinks: usize,
    pub(crate) ours: Measured,
    /// A loop of `curl` calls.
    pub(crate) curl: Option<Measured>,
    /// The vendors' command lines.
    pub(crate) vendors: Option<Measured>,
}

/// A Markdown table. `bare` is what a request on a warm connection takes, by itself.
pub(crate) fn markdown(rows: &[Row], round_trip: Duration, bare: Duration) -> String {
    let mut text = format!(
        "Round trip {round_trip:?}; a bare request on a warm connection takes {bare:.1?}, which is what \
         is counted in.\n\n\
         | sinks | kinds | outage | round trips | forecast / reported | curl loop | vendors' tools | shorter by | CPU | memory |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        text += &line(row, bare);
    }
    text
}

fn line(row: &Row, bare: Duration) -> String {
    let Row { mix, sinks, ours, curl, vendors } = row;
    let ratio = ours.outage.as_secs_f64() / bare.as_secs_f64();
    let shown =
        |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1?}"));
    let outage = |other: &Option<Measured>| other.map(|other| other.outage);
    let shorter = [curl, vendors].map(|other| {
        let other = outage(other)?.as_secs_f64() / ours.outage.as_secs_f64();
        Some(format!("{other:.0} ×"))
    });
    let shorter: Vec<String> = shorter.into_iter().flatten().collect();
    format!(
        "| {sinks} | {mix} | {:.1?} | {ratio:.2} | {:.0?} / {:.0?} | {} | {} | {} | {:.0?} | {:.0} MiB |\n",
        ours.outage,
        ours.forecast.unwrap_or_default(),
        ours.reported.unwrap_or_default(),
        shown(outage(curl)),
        shown(outage(vendors)),
        shorter.join(", "),
        ours.usage.processor,
        ours.usage.peak_mebibytes
    )
}
