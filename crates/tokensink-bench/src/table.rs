//! Formats the measurements as tables for the README.

use std::time::{Duration, Instant};

use crypto_box::SecretKey;
use crypto_box::aead::OsRng;

use crate::place::{Measured, Mix};

/// The measurements of one combination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) mix: Mix,
    pub(crate) sinks: usize,
    pub(crate) ours: Measured,
    /// A loop of `curl` calls.
    pub(crate) curl: Option<Measured>,
    /// The vendors' CLIs.
    pub(crate) vendors: Option<Measured>,
}

const HEADER: [&str; 11] = [
    "sinks",
    "kinds",
    "outage",
    "round trips",
    "bare requests",
    "forecast / reported",
    "curl loop",
    "vendors' tools",
    "shorter by",
    "CPU",
    "memory",
];

/// Returns a Markdown table and its units. `bare` is the duration of a request on an open connection.
pub(crate) fn markdown(rows: &[Row], round_trip: Duration, bare: Duration) -> String {
    let mut text = line(&HEADER) + &line(&["---"; HEADER.len()]);
    for row in rows {
        text += &line(&cells(row, round_trip, bare));
    }
    text + &format!(
        "\nEach row is the median of eleven runs, in round trips of {} and in bare requests: one bare \
         request on a warm\nconnection takes {:.1} ms there. Sealing a thousand boxes takes at least {} \
         of one core.\n",
        shown(round_trip),
        bare.as_secs_f64() * 1000.0,
        shown(sealing(1000))
    )
}

fn cells(row: &Row, round_trip: Duration, bare: Duration) -> [String; HEADER.len()] {
    let Row { mix, sinks, ours, curl, vendors } = row;
    let times = |unit: Duration| format!("{:.2}", ours.outage.as_secs_f64() / unit.as_secs_f64());
    let measured = |time: Option<Duration>| time.map(shown).unwrap_or_default();
    let other = |other: &Option<Measured>| measured(other.map(|other| other.outage));
    let shorter = [curl, vendors]
        .into_iter()
        .flatten()
        .map(|other| format!("{:.0} ×", other.outage.as_secs_f64() / ours.outage.as_secs_f64()));
    [
        with_commas(*sinks),
        mix.to_string(),
        shown(ours.outage),
        times(round_trip),
        times(bare),
        format!("{} / {}", measured(ours.forecast), measured(ours.reported)),
        other(curl),
        other(vendors),
        shorter.collect::<Vec<_>>().join(", "),
        shown(ours.usage.processor),
        format!("{:.0} MiB", ours.usage.peak_mebibytes),
    ]
}

fn line<S: AsRef<str>>(cells: &[S]) -> String {
    let cell = |text: &S| {
        if text.as_ref().is_empty() { String::new() } else { format!(" {}", text.as_ref()) }
    };
    format!("|{} |\n", cells.iter().map(cell).collect::<Vec<_>>().join(" |"))
}

/// Formats a duration in milliseconds below a second, and in tenths of a second above.
fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.0} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Formats a number like `10,000`.
pub(crate) fn with_commas(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, small) => small.to_string(),
        (thousands, rest) => format!("{},{rest:03}", with_commas(thousands)),
    }
}

/// Returns the time that one core needs for this number of sealed boxes: a lower bound for any program.
fn sealing(boxes: usize) -> Duration {
    let key = SecretKey::generate(&mut OsRng).public_key();
    let started = Instant::now();
    for _ in 0..boxes {
        std::hint::black_box(key.seal(&mut OsRng, &[b'x'; 96])).ok();
    }
    started.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;

    const README: &str = include_str!("../README.md");

    fn measured(outage: u64, of_program: Option<[u64; 2]>) -> Measured {
        let [forecast, reported] = [0, 1].map(|one| Some(Duration::from_millis(of_program?[one])));
        let usage = Usage { processor: Duration::from_millis(400), peak_mebibytes: 27.9 };
        Measured { outage: Duration::from_millis(outage), forecast, reported, usage }
    }

    #[test]
    fn the_readme_contains_the_printed_table() {
        let thousand = Row {
            mix: Mix::GitHub,
            sinks: 1000,
            ours: measured(212, Some([214, 1280])),
            curl: None,
            vendors: None,
        };
        let compared = Row {
            mix: Mix::All,
            sinks: 10,
            curl: Some(measured(1349, None)),
            vendors: Some(measured(5410, None)),
            ..thousand
        };
        let text = markdown(
            &[thousand, compared],
            Duration::from_millis(50),
            Duration::from_micros(52_990),
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(README.contains(&format!("{}\n{}\n", lines[0], lines[1])), "{text}");
        let row =
            "| 1,000 | GitHub | 212 ms | 4.24 | 4.00 | 214 ms / 1.3 s | | | | 400 ms | 28 MiB |";
        assert_eq!(lines[2], row);
        let row = "| 10 | dotenv, GitHub, AWS | 212 ms | 4.24 | 4.00 | 214 ms / 1.3 s | 1.3 s | 5.4 s \
                   | 6 ×, 26 × | 400 ms | 28 MiB |";
        assert_eq!(lines[3], row);
        assert!(README.contains(lines[5]), "{text}");
        // Up to the measured number.
        let (words, _) = lines[6].split_once(" at least ").unwrap();
        assert!(README.contains(words), "{text}");
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (10_000, "10,000"), (1_000_020, "1,000,020")]
        {
            assert_eq!(with_commas(number), text);
        }
    }
}
