//! Tables on standard output.

use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use tokensink_engine::{SinkReport, State};

const NARROWEST: u16 = 60;
/// Where standard output is no terminal, nothing is wrapped: a script or a log reads it.
const UNWRAPPED: u16 = 400;

/// One line for each target.
pub(crate) fn print_sinks(sinks: &[SinkReport]) {
    let mut table = table();
    table.set_header(["SINK", "TARGET", "STATE", "EVIDENCE", "TAKES EFFECT", "OUTAGE"]);
    for sink in sinks {
        let optional = if sink.required { "" } else { " (optional)" };
        table.add_row([
            Cell::new(format!("{}{optional}", sink.name)),
            Cell::new(&sink.place),
            state_cell(sink.state),
            Cell::new(evidence(sink)),
            Cell::new(sink.takes_effect),
            Cell::new(outage(sink)),
        ]);
    }
    super::say(&trimmed(&table));
}

/// What it was, or what is to be expected.
fn outage(sink: &SinkReport) -> String {
    match (sink.outage_ms, sink.forecast_ms) {
        (Some(ms), _) => format!("{ms} ms"),
        (None, Some(ms)) if sink.attempts == 0 => {
            format!("~{}", super::in_words(Duration::from_millis(ms)))
        }
        _ => "-".to_owned(),
    }
}

fn evidence(sink: &SinkReport) -> String {
    let known = sink.error.as_ref().unwrap_or(&sink.evidence);
    match sink.written_at {
        Some(at) => format!("{known}; last written {}", at.strftime("%Y-%m-%d %H:%M UTC")),
        None => known.clone(),
    }
}

/// Any rows under a header.
pub(crate) fn print_rows<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    let mut table = table();
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    super::say(&trimmed(&table));
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // anstream decides whether colour reaches the reader.
    table.enforce_styling();
    let width = table.width().map_or(UNWRAPPED, |width| width.max(NARROWEST));
    table.set_width(width);
    table
}

fn state_cell(state: State) -> Cell {
    match state {
        State::Current => Cell::new("current").fg(Color::Green),
        State::Stale => Cell::new("stale").fg(Color::Red),
        State::Unknown => Cell::new("unknown").fg(Color::Yellow),
    }
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
