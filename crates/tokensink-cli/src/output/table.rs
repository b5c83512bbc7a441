//! Tables on standard output.

use std::collections::HashSet;
use std::time::Duration;

use tokensink_engine::{Report, SinkReport, State, time_in_words};

use super::grid::{Grid, print_first_that_fits};
use super::group_messages::reasons;

/// One line for each target. On a narrow terminal what is known of it stands below its name.
pub(crate) fn print_sinks(report: &Report) {
    let sinks = || report.sinks.iter();
    let places = || sinks().map(|sink| sink.place.as_str());
    let states = || sinks().map(|sink| in_a_word(sink.state));
    let effects = || sinks().map(|sink| sink.takes_effect.to_string());
    let told = reasons(report);
    let evidence: Vec<String> = sinks().map(|sink| evidence(sink, &told)).collect();
    let names = Grid::new().with("SINK", sinks().map(name));

    let wide = names.clone().with("TARGET", places()).with("STATE", states());
    let wide = wide.with("EVIDENCE", &evidence).with("TAKES EFFECT", effects());
    let below = || places().zip(&evidence);
    let narrow = names.clone().with_stacked("TARGET, EVIDENCE", below()).with("STATE", states());
    let narrow = narrow.with("TAKES EFFECT", effects());
    let all = below().zip(effects());
    let all =
        all.map(|((place, known), effect)| (place, format!("{known}; takes effect {effect}")));
    let narrowest = names.with_stacked("TARGET, EVIDENCE", all).with("STATE", states());

    let grids = [wide, narrow, narrowest];
    print_first_that_fits(&grids.map(|grid| with_outage(grid, &report.sinks)));
}

/// What is known of the outage, if anything is: what it was, or what is to be expected.
fn with_outage<'a>(grid: Grid<'a>, sinks: &'a [SinkReport]) -> Grid<'a> {
    let header = if sinks.iter().any(|sink| sink.outage_ms.is_some()) {
        "OUTAGE"
    } else if sinks.iter().any(|sink| expected(sink).is_some()) {
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

fn in_a_word(state: State) -> &'static str {
    match state {
        State::Current => "current",
        State::Stale => "stale",
        State::Unknown => "unknown",
    }
}

fn outage(sink: &SinkReport) -> String {
    match sink.outage_ms {
        Some(ms) => time_in_words(Duration::from_millis(ms)),
        None => expected(sink).unwrap_or_else(|| "-".to_owned()),
    }
}

fn expected(sink: &SinkReport) -> Option<String> {
    let ms = sink.forecast_ms.filter(|_| sink.attempts == 0)?;
    Some(format!("~{}", time_in_words(Duration::from_millis(ms))))
}

/// What is known of a sink. A reason that is `told` below the table is not repeated.
fn evidence(sink: &SinkReport, told: &HashSet<&str>) -> String {
    let mut known = match sink.evidence.split_once(": ") {
        Some((what, why)) if told.contains(why) || told.contains(&*sink.evidence) => {
            what.to_owned()
        }
        _ => sink.evidence.clone(),
    };
    if let Some(error) = &sink.error {
        // Where nothing was written it is an obstacle.
        let is_obstacle = sink.attempts == 0;
        match (is_obstacle, told.contains(&**error)) {
            (true, true) => known += "; not ready",
            (true, false) => known += &format!("; not ready: {error}"),
            (false, true) => {}
            (false, false) => known += &format!("; {error}"),
        }
    }
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
    print_first_that_fits(&[Grid::of(header, rows)]);
}

/// The same, where the column `omitted` may be missing on a narrow terminal.
pub(crate) fn print_rows_perhaps_without<const N: usize>(
    omitted: &str,
    header: [&str; N],
    rows: &[[String; N]],
) {
    let whole = Grid::of(header, rows);
    let narrow = whole.clone().without(omitted);
    print_first_that_fits(&[whole, narrow]);
}
