//! Tables on standard output.

use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use tokensink_engine::{SinkReport, State};

const NARROWEST: u16 = 60;
/// Where standard output is no terminal, nothing is wrapped: a script or a log reads it.
const UNWRAPPED: u16 = 400;

/// One line for each target.
pub(crate) fn print_sinks(sinks: &[SinkReport]) {
    let outage_header = outage_header(sinks);
    let mut table = table();
    let header = ["SINK", "TARGET", "STATE", "EVIDENCE", "TAKES EFFECT"];
    table.set_header(header.into_iter().chain(outage_header));
    for sink in sinks {
        let optional = if sink.required { "" } else { " (optional)" };
        let row = [
            Cell::new(format!("{}{optional}", sink.name)),
            Cell::new(&sink.place),
            state_cell(sink.state),
            Cell::new(evidence(sink)),
            Cell::new(sink.takes_effect),
        ];
        table.add_row(row.into_iter().chain(outage_header.map(|_| Cell::new(outage(sink)))));
    }
    super::say(&trimmed(&table));
}

/// What is known of the outage, if anything is: what it was, or what is to be expected.
fn outage_header(sinks: &[SinkReport]) -> Option<&'static str> {
    if sinks.iter().any(|sink| sink.outage_ms.is_some()) {
        Some("OUTAGE")
    } else if sinks.iter().any(|sink| expected(sink).is_some()) {
        Some("FORECAST")
    } else {
        None
    }
}

fn outage(sink: &SinkReport) -> String {
    match sink.outage_ms {
        Some(ms) => format!("{ms} ms"),
        None => expected(sink).unwrap_or_else(|| "-".to_owned()),
    }
}

fn expected(sink: &SinkReport) -> Option<String> {
    let ms = sink.forecast_ms.filter(|_| sink.attempts == 0)?;
    Some(format!("~{}", super::in_words(Duration::from_millis(ms))))
}

fn evidence(sink: &SinkReport) -> String {
    let mut known = sink.error.as_ref().unwrap_or(&sink.evidence).clone();
    if sink.attempts > 1 {
        known += &format!("; {} attempts", sink.attempts);
    }
    if let Some(at) = sink.written_at {
        known += &format!("; last written {}", at.strftime("%Y-%m-%d %H:%M UTC"));
    }
    known
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
