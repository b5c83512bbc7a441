//! Output: tables and sentences for people, one JSON document for scripts, progress, questions.
//!
//! Everything is printed as [`Printable`](printable::Printable), which escapes characters that could
//! control a terminal. A standard output or error that is closed or blocked never stops a run.

mod grid;
mod group_messages;
mod json;
mod printable;
mod progress;
mod prompt;
mod spinner;
mod standard_error;
mod table;
mod wrap;

use std::borrow::Cow;
use std::io::{Write as _, stderr, stdout};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::builder::StyledStr;
use tokensink_engine::{Command, Outcome, Report, SinkReport, State, time_in_words};

use self::group_messages::SinkNames;
use self::printable::Printable;
use crate::args::Output;

pub(crate) use json::print_json;
pub(crate) use progress::ProgressReporter;
pub(crate) use prompt::{Answer, ask};
pub(crate) use standard_error::{flush, log};
pub(crate) use table::{print_rows, print_rows_stacking, print_sinks};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const BOLD: Style = Style::new().bold();

/// A forecast below this needs no explanation.
const SLOW_MS: u64 = 1_000;

/// Prints one line on standard output, after everything that was printed on standard error before.
pub(crate) fn print_stdout(line: &str) {
    write_stdout(&Printable::line(line));
}

/// Prints several lines on standard output. They must not contain text from outside this program.
pub(crate) fn print_block(text: &str) {
    write_stdout(&Printable::block(text));
}

/// Prints one line on standard error.
pub(crate) fn print_stderr(line: &str) {
    write_stderr(&Printable::line(line));
}

/// Prints the help that clap renders on standard output.
pub(crate) fn print_help(help: &StyledStr) {
    write_stdout(&Printable::help(help));
}

/// Prints a sentence on standard output, wrapped at the width of a terminal.
pub(crate) fn print_sentence(text: &str) {
    write_stdout(&wrap::fit(Printable::line(text), stdout()));
}

/// Prints a sentence on standard error, wrapped at the width of a terminal.
pub(crate) fn print_sentence_stderr(text: &str) {
    write_stderr(&wrap::fit(Printable::line(text), stderr()));
}

/// Prints a warning on standard error.
pub(crate) fn warn(text: &str) {
    print_labelled("warning", YELLOW, text);
}

/// Prints an error on standard error.
pub(crate) fn print_error(text: &str) {
    print_labelled("error", RED, text);
}

/// Prints a question on standard error. The cursor stays behind it, for the answer.
fn print_question(text: &str) {
    standard_error::show(Printable::line(text), " ");
}

/// Prints the warnings of a report on standard error.
pub(crate) fn print_warnings(report: &Report) {
    for warning in SinkNames::of(&report.sinks).group(&report.warnings) {
        warn(&warning);
    }
}

fn print_labelled(label: &str, style: Style, text: &str) {
    let plain = wrap::fit(Printable::line(&format!("{label}: {text}")), stderr());
    // The label is a single word at the start, so the text was not wrapped inside it.
    let rest = plain.arranged(|text| text[label.len()..].to_owned());
    write_stderr(&Printable::styled(style, label).followed_by(&rest));
}

fn write_stdout(printable: &Printable) {
    flush();
    let _ = writeln!(anstream::stdout(), "{}", printable.as_str());
}

fn write_stderr(printable: &Printable) {
    standard_error::show(printable.clone(), "\n");
}

/// Prints a report in the format of `--output`.
pub(crate) fn print_report(report: &Report, output: Output) {
    match output {
        Output::Json => print_json(report),
        Output::Text => print_text(report),
    }
}

fn print_text(report: &Report) {
    if !report.sinks.iter().all(SinkReport::is_unasked) {
        print_sinks(report);
    }
    print_warnings(report);
    for error in SinkNames::of(&report.sinks).group(&report.errors) {
        print_error(&error);
    }
    print_forecast(report);
    write_stdout(&verdict(report));
    let facts = [tokens(report), outage(report)].into_iter().flatten();
    for fact in facts.chain(report.next.iter().map(|step| format!("next: {step}"))) {
        print_sentence(&format!("  {fact}"));
    }
}

/// Prints what a reset spends most of its time on, if it is forecast to take long enough to matter.
pub(crate) fn print_forecast(report: &Report) {
    let is_slow = report.forecast_ms.is_some_and(|forecast| forecast >= SLOW_MS);
    if let Some(dominated_by) = report.dominated_by.as_ref().filter(|_| is_slow) {
        print_sentence(&format!("Slowest part: {dominated_by}."));
    }
}

fn verdict(report: &Report) -> Printable {
    let (style, text) = match report.outcome {
        Outcome::Complete => (GREEN, complete_verdict(report)),
        Outcome::Ready => (GREEN, "ready: a reset could finish".into()),
        Outcome::Drift => (YELLOW, "drift: a sink does not hold the live token".into()),
        Outcome::Partial => (RED, partial_verdict(report).into()),
        Outcome::Unknown => (RED, "unknown: it is not certain which token is live".into()),
        Outcome::Unchanged if is_obstructed(report) => {
            (RED, "not ready: a reset could not finish".into())
        }
        Outcome::Unchanged => (BOLD, unchanged_verdict(report).into()),
        Outcome::Invalid => (BOLD, "invalid: nothing was started".into()),
    };
    Printable::styled(style, &text)
}

/// Returns whether `check` found a required sink that is not ready.
fn is_obstructed(report: &Report) -> bool {
    let is_not_ready = |sink: &SinkReport| sink.required && sink.error.is_some();
    report.command == Some(Command::Check) && report.sinks.iter().any(is_not_ready)
}

/// "unchanged" alone would be misleading for commands that never change anything.
fn unchanged_verdict(report: &Report) -> &'static str {
    match report.command {
        Some(Command::Reset) => "unchanged: the token was not reset",
        Some(Command::Check) => "not checked: it is not known whether a reset could finish",
        Some(Command::Status) if report.sinks.iter().all(SinkReport::is_unasked) => {
            "not inspected: it is not known which sinks hold the live token"
        }
        Some(Command::Status) => "incomplete: a required sink could not be inspected",
        Some(Command::History) => "not read: the journal is not readable",
        _ => "unchanged: nothing was done",
    }
}

fn tokens(report: &Report) -> Option<String> {
    match (&report.token.before, &report.token.after) {
        (Some(before), Some(after)) if before == after => {
            Some(format!("token fingerprint: {after}"))
        }
        (Some(before), Some(after)) => Some(format!("token fingerprint: {before} -> {after}")),
        _ => None,
    }
}

/// Describes the outage of a reset, or the forecast where there was none.
fn outage(report: &Report) -> Option<String> {
    let shown = |ms: u64| time_in_words(Duration::from_millis(ms));
    let not_reset = matches!(report.outcome, Outcome::Ready | Outcome::Drift | Outcome::Unchanged);
    let has_forecast = report.sinks.iter().any(|sink| sink.forecast_ms.is_some());
    let scope =
        if are_all_current(&report.sinks) { "" } else { " of the sinks that hold the token" };
    Some(match (report.outage_ms, report.forecast_ms) {
        (Some(outage), Some(forecast)) => {
            format!("outage{scope}: at most {} (forecast {})", shown(outage), shown(forecast))
        }
        (Some(outage), None) => format!("outage{scope}: at most {}", shown(outage)),
        (None, Some(forecast)) if not_reset && has_forecast => {
            format!("a reset would leave the sinks stale for about {}", shown(forecast))
        }
        _ => return None,
    })
}

/// Some providers do not return values, so `status` can be complete without a proof for every target.
fn complete_verdict(report: &Report) -> Cow<'static, str> {
    let sinks = &report.sinks;
    if are_all_current(sinks) && report.left_out.is_empty() {
        return "complete: every required sink holds the live token".into();
    }
    if are_all_current(sinks) {
        let left_out = report.left_out.join(", ");
        return format!("complete: every selected sink holds the live token; left out: {left_out}")
            .into();
    }
    let required = || sinks.iter().filter(|sink| sink.required);
    let current = required().filter(|sink| sink.state == State::Current).count();
    let all = required().count();
    format!(
        "no drift seen: {current} of {all} targets hold the live token; the values of the others \
         cannot be read"
    )
    .into()
}

fn partial_verdict(report: &Report) -> &'static str {
    if are_all_current(&report.sinks) && !report.left_out.is_empty() {
        "partial: every selected sink holds the live token, but others were left out"
    } else if are_all_current(&report.sinks) {
        "partial: every required sink holds the live token, but the old one still works"
    } else {
        "partial: not every required sink is proven current"
    }
}

fn are_all_current(sinks: &[SinkReport]) -> bool {
    sinks.iter().all(|sink| !sink.required || sink.state == State::Current)
}
