//! Tables on standard output.

use std::collections::HashSet;
use std::time::Duration;

use tokensink_engine::{Report, SinkReport, State, time_in_words};

use super::grid::{Grid, print_first_that_fits};
use super::group_messages::reasons;

/// Prints one row for each target. On a narrow terminal the evidence is below the target's name.
pub(crate) fn print_sinks(report: &Report) {
    let sinks = || report.sinks.iter();
    let places = || sinks().map(|sink| sink.place.as_str());
    let states = || sinks().map(|sink| state_word(sink.state));
    let effects = || sinks().map(|sink| sink.takes_effect.to_string());
    let reasons = reasons(report);
    let evidence: Vec<String> = sinks().map(|sink| evidence(sink, &reasons)).collect();
    let not_ready: Vec<bool> = sinks().map(is_not_ready).collect();
    let names = Grid::new().with("SINK", sinks().map(name));

    let wide = names.clone().with("TARGET", places()).with("STATE", states());
    let wide = wide.with("EVIDENCE", &evidence).with_alerts(&not_ready);
    let wide = wide.with("TAKES EFFECT", effects());
    let below = || places().zip(&evidence);
    let narrow = names.clone().with_stacked("TARGET, EVIDENCE", below()).with_alerts(&not_ready);
    let narrow = narrow.with("STATE", states()).with("TAKES EFFECT", effects());
    let all = below()
        .zip(effects())
        .map(|((place, evidence), effect)| (place, format!("{evidence}; takes effect {effect}")));
    let narrowest = names.with_stacked("TARGET, EVIDENCE", all).with_alerts(&not_ready);
    let narrowest = narrowest.with("STATE", states());

    let grids = [wide, narrow, narrowest];
    print_first_that_fits(&grids.map(|grid| with_outage(grid, &report.sinks)));
}

/// Adds the column with the outages, or with their forecasts, if there are any.
fn with_outage<'a>(grid: Grid<'a>, sinks: &'a [SinkReport]) -> Grid<'a> {
    let header = if sinks.iter().any(|sink| sink.outage_ms.is_some()) {
        "OUTAGE"
    } else if sinks.iter().any(|sink| forecast(sink).is_some()) {
        "FORECAST"
    } else {
        return grid;
    };
    grid.with(header, sinks.iter().map(outage))
}

fn name(sink: &SinkReport) -> String {
    let optional = if sink.required { "" } else { " (optional)" };
    format!("{}{optional}", sink.name)
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Current => "current",
        State::Stale => "stale",
        State::Unknown => "unknown",
    }
}

fn outage(sink: &SinkReport) -> String {
    match sink.outage_ms {
        Some(ms) => time_in_words(Duration::from_millis(ms)),
        None => forecast(sink).unwrap_or_else(|| "-".to_owned()),
    }
}

fn forecast(sink: &SinkReport) -> Option<String> {
    let ms = sink.forecast_ms.filter(|_| sink.attempts == 0)?;
    Some(format!("~{}", time_in_words(Duration::from_millis(ms))))
}

/// Returns whether the error of a sink was found before anything was written to it.
fn is_not_ready(sink: &SinkReport) -> bool {
    sink.error.is_some() && sink.attempts == 0
}

/// Describes what is known of a sink. Reasons in `printed` are left out: they are printed below the
/// table.
fn evidence(sink: &SinkReport, printed: &HashSet<&str>) -> String {
    let mut text = match sink.evidence.split_once(": ") {
        Some((fact, reason)) if printed.contains(reason) || printed.contains(&*sink.evidence) => {
            fact.to_owned()
        }
        _ => sink.evidence.clone(),
    };
    if let Some(error) = &sink.error {
        match (is_not_ready(sink), printed.contains(&**error)) {
            (true, true) => text += "; not ready",
            (true, false) => text += &format!("; not ready: {error}"),
            (false, true) => {}
            (false, false) => text += &format!("; {error}"),
        }
    }
    if sink.attempts > 1 {
        text += &format!("; {} attempts", sink.attempts);
    }
    if let Some(at) = sink.written_at {
        text += &format!("; last written {}", at.strftime("%Y-%m-%d %H:%M UTC"));
    }
    text
}

/// Prints rows below a header.
pub(crate) fn print_rows<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    print_first_that_fits(&[Grid::of(header, rows)]);
}

/// Prints rows below a header. On a narrow terminal the second column is below the first: `stacked` is
/// the header of both.
pub(crate) fn print_rows_stacking<const N: usize>(
    stacked: &str,
    header: [&str; N],
    rows: &[[String; N]],
) {
    let wide = Grid::of(header, rows);
    let first_two = rows.iter().map(|row| (&row[0], &row[1]));
    let narrow = Grid::new().with_stacked(stacked, first_two);
    let rest = header.into_iter().enumerate().skip(2);
    let narrow = rest.fold(narrow, |grid, (index, header)| {
        grid.with(header, rows.iter().map(move |row| &row[index]))
    });
    print_first_that_fits(&[wide, narrow]);
}
