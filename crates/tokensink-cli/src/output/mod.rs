//! What leaves the process: tables for people, one document for scripts, progress, questions.
//!
//! Everything is printed as [`Printable`](printable::Printable), which escapes what could control a
//! terminal. A closed standard output or error never stops a run, and neither does a standard error
//! that accepts no more output.

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

use self::group_messages::Names;
use self::printable::Printable;
use crate::args::Output;

pub(crate) use json::print_json;
pub(crate) use progress::ProgressReporter;
pub(crate) use prompt::{Answer, ask};
pub(crate) use standard_error::{flush, log};
pub(crate) use table::{print_rows, print_rows_perhaps_without, print_sinks};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const BOLD: Style = Style::new().bold();

/// Prints one line on standard output, after all that standard error was given before.
pub(crate) fn print_stdout(line: &str) {
    write_stdout(&Printable::line(line));
}

/// Prints several lines of our own on standard output.
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

/// Prints a sentence on standard output.
pub(crate) fn print_sentence(text: &str) {
    write_stdout(&wrap::fit(Printable::line(text), stdout()));
}

/// Prints a sentence on standard error.
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

/// Prints a question on standard error; the answer is typed behind it.
fn print_question(text: &str) {
    standard_error::show(Printable::line(text), " ");
}

/// Prints the warnings of a report on standard error.
pub(crate) fn warn_of(report: &Report) {
    for warning in Names::of(&report.sinks).told_once(&report.warnings) {
        warn(&warning);
    }
}

fn print_labelled(label: &str, style: Style, text: &str) {
    let plain = wrap::fit(Printable::line(&format!("{label}: {text}")), stderr());
    // The label is at the beginning of the first line, and wide enough for no break in it.
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

/// A report, in the form that was asked for.
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
    warn_of(report);
    for error in Names::of(&report.sinks).told_once(&report.errors) {
        print_error(&error);
    }
    print_forecast(report);
    write_stdout(&verdict(report));
    let facts = [tokens(report), outage(report)].into_iter().flatten();
    for fact in facts.chain(report.next.iter().map(|step| format!("next: {step}"))) {
        print_sentence(&format!("  {fact}"));
    }
}

/// What would take longest.
pub(crate) fn print_forecast(report: &Report) {
    if let Some(dominated_by) = &report.dominated_by {
        print_sentence(&format!("What takes longest: {dominated_by}."));
    }
}

fn verdict(report: &Report) -> Printable {
    let (style, text) = match report.outcome {
        Outcome::Complete => (GREEN, completeness(report)),
        Outcome::Ready => (GREEN, "ready: a reset could finish".into()),
        Outcome::Drift => (YELLOW, "drift: a sink does not hold the live token".into()),
        Outcome::Partial => (RED, shortfall(report).into()),
        Outcome::Unknown => (RED, "unknown: it is not certain which token is live".into()),
        Outcome::Unchanged => (BOLD, without_change(report).into()),
        Outcome::Invalid => (BOLD, "invalid: nothing was started".into()),
    };
    Printable::styled(style, &text)
}

/// Commands that change nothing have something else to say than that.
fn without_change(report: &Report) -> &'static str {
    let is_obstructed = report.sinks.iter().any(|sink| sink.required && sink.error.is_some());
    match report.command {
        Some(Command::Reset) => "unchanged: the token was not reset",
        Some(Command::Check) if is_obstructed => "not ready: a reset could not finish",
        Some(Command::Check) => "not checked: it is not known whether a reset could finish",
        Some(Command::Status) if report.sinks.iter().all(SinkReport::is_unasked) => {
            "not asked: it is not known which sinks hold the live token"
        }
        Some(Command::Status) => "not all were asked: a required sink could not be asked",
        Some(Command::History) => "not read: it is not known which runs there were",
        _ => "unchanged: nothing was done",
    }
}

fn tokens(report: &Report) -> Option<String> {
    match (&report.token.before, &report.token.after) {
        (Some(before), Some(after)) if before == after => Some(format!("token: {after}")),
        (Some(before), Some(after)) => Some(format!("token: {before} -> {after}")),
        _ => None,
    }
}

/// What it was where there was a reset, and what it would be where there was none.
fn outage(report: &Report) -> Option<String> {
    let shown = |ms: u64| time_in_words(Duration::from_millis(ms));
    let not_reset = matches!(report.outcome, Outcome::Ready | Outcome::Drift | Outcome::Unchanged);
    let is_foreseen = report.sinks.iter().any(|sink| sink.forecast_ms.is_some());
    let whose = if are_all_current(&report.sinks) { "" } else { " of the sinks that hold it" };
    Some(match (report.outage_ms, report.forecast_ms) {
        (Some(outage), Some(forecast)) => {
            format!("outage{whose}: at most {} (forecast {})", shown(outage), shown(forecast))
        }
        (Some(outage), None) => format!("outage{whose}: at most {}", shown(outage)),
        (None, Some(forecast)) if not_reset && is_foreseen => {
            format!("a reset would leave the sinks stale for about {}", shown(forecast))
        }
        _ => return None,
    })
}

/// Some providers show no values: `status` can be complete without having seen them all.
fn completeness(report: &Report) -> Cow<'static, str> {
    let sinks = &report.sinks;
    if are_all_current(sinks) && report.left_out.is_empty() {
        return "complete: every required sink holds the live token".into();
    }
    if are_all_current(sinks) {
        let left_out = report.left_out.join(", ");
        return format!("complete: every chosen sink holds the live token; left out: {left_out}")
            .into();
    }
    let required = || sinks.iter().filter(|sink| sink.required);
    let current = required().filter(|sink| sink.state == State::Current).count();
    let all = required().count();
    format!(
        "no drift seen: {current} of {all} targets hold the live token, and of the others it \
         cannot be told"
    )
    .into()
}

fn shortfall(report: &Report) -> &'static str {
    if are_all_current(&report.sinks) && !report.left_out.is_empty() {
        "partial: every chosen sink holds the live token, but others were left out"
    } else if are_all_current(&report.sinks) {
        "partial: every required sink holds the live token, but the old one still works"
    } else {
        "partial: not every required sink is proven current"
    }
}

fn are_all_current(sinks: &[SinkReport]) -> bool {
    sinks.iter().all(|sink| !sink.required || sink.state == State::Current)
}
