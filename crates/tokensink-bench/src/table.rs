//! The measurements as tables for the README.

use std::time::{Duration, Instant};

use crypto_box::SecretKey;
use crypto_box::aead::OsRng;

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
        "Round trip {round_trip:?}; a bare request on a warm connection takes {bare:.1?}.\n\n\
         | sinks | kinds | outage | in round trips | in bare requests | forecast / reported | curl loop | vendors' tools | shorter by | CPU, of it boxes | memory |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        text += &line(row, round_trip, bare);
    }
    text
}

fn line(row: &Row, round_trip: Duration, bare: Duration) -> String {
    let Row { mix, sinks, ours, curl, vendors } = row;
    let times = |unit: Duration| ours.outage.as_secs_f64() / unit.as_secs_f64();
    let shown =
        |time: Option<Duration>| time.map_or_else(String::new, |time| format!("{time:.1?}"));
    let outage = |other: &Option<Measured>| other.map(|other| other.outage);
    let shorter = [curl, vendors].map(|other| {
        let other = outage(other)?.as_secs_f64() / ours.outage.as_secs_f64();
        Some(format!("{other:.0} ×"))
    });
    let shorter: Vec<String> = shorter.into_iter().flatten().collect();
    let boxes =
        if *mix == Mix::GitHub { format!(", {:.0?}", sealing(*sinks)) } else { String::new() };
    format!(
        "| {sinks} | {mix} | {:.1?} | {:.2} | {:.2} | {:.0?} / {:.0?} | {} | {} | {} | {:.0?}{boxes} | {:.0} MiB |\n",
        ours.outage,
        times(round_trip),
        times(bare),
        ours.forecast.unwrap_or_default(),
        ours.reported.unwrap_or_default(),
        shown(outage(curl)),
        shown(outage(vendors)),
        shorter.join(", "),
        ours.usage.processor,
        ours.usage.peak_mebibytes
    )
}

/// What so many sealed boxes cost one core: nobody can write so many secrets for less.
fn sealing(boxes: usize) -> Duration {
    let key = SecretKey::generate(&mut OsRng).public_key();
    let started = Instant::now();
    for _ in 0..boxes {
        std::hint::black_box(key.seal(&mut OsRng, &[b'x'; 96])).ok();
    }
    started.elapsed()
}
