//! The measurements as a table for the README.

use std::time::Duration;

use crate::place::{Measured, Mix};

/// One place, measured.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) mix: Mix,
    pub(crate) sinks: usize,
    pub(crate) ours: Measured,
    pub(crate) loops: Option<Measured>,
}

/// A Markdown table, and the head of the one that follows.
pub(crate) fn markdown(rows: &[Row], round_trip: Duration) -> String {
    let mut text = format!(
        "Round trip {round_trip:?}.\n\n\
         | sinks | kinds | outage | in round trips | forecast / reported | curl loop | shorter by | CPU | memory |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        text += &line(row, round_trip);
    }
    text + "\n| sinks | how many | outage | whole run | CPU | memory |\n| --- | --- | --- | --- | --- | --- |\n"
}

fn line(row: &Row, round_trip: Duration) -> String {
    let Row { mix, sinks, ours, loops } = row;
    let ratio = ours.outage.as_secs_f64() / round_trip.as_secs_f64();
    let shown =
        |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.0?}"));
    let shorter = loops.map(|loops| loops.outage.as_secs_f64() / ours.outage.as_secs_f64());
    format!(
        "| {sinks} | {mix} | {:.1?} | {ratio:.2} | {} / {} | {} | {} | {:.0?} | {:.0} MiB |\n",
        ours.outage,
        shown(ours.forecast),
        shown(ours.reported),
        shown(loops.map(|loops| loops.outage)),
        shorter.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.0} ×")),
        ours.usage.processor,
        ours.usage.peak_mebibytes
    )
}
