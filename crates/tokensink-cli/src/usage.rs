//! The response to `--help`, `--version` and invalid arguments.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use tokensink_engine::{Command, Outcome, Report};

use crate::args::{Output, command_line};
use crate::output::{print_error, print_help, print_report, print_sentence_stderr};

const SEE_HELP: &str = "`tokensink --help` and `tokensink COMMAND --help` list the arguments";

/// Prints the help, the version, or the error.
pub(crate) fn respond(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print_help(&error.render());
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let report = report(error, command_of(&arguments));
    if asks_for_json(&arguments) {
        print_report(&report, Output::Json);
    } else {
        report.errors.iter().for_each(|error| print_error(error));
        report.next.iter().for_each(|step| print_sentence_stderr(&format!("  next: {step}")));
    }
    ExitCode::from(report.exit_code)
}

/// Returns whether invalid arguments ask for JSON output.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let apart = arguments.windows(2).any(|pair| pair == ["--output", "json"]);
    apart || arguments.iter().any(|argument| argument == "--output=json")
}

/// Returns the command in invalid arguments, if it is valid itself.
fn command_of(arguments: &[OsString]) -> Option<Command> {
    let lenient = command_line().ignore_errors(true);
    let matches = lenient.try_get_matches_from(arguments).ok()?;
    serde_json::from_value(matches.subcommand_name()?.into()).ok()
}

fn report(error: &clap::Error, command: Option<Command>) -> Report {
    let mut report = Report::refused(command, Outcome::Invalid, vec![message(error)]);
    let suggestions = [
        (ContextKind::SuggestedSubcommand, "use the subcommand"),
        (ContextKind::SuggestedArg, "use the argument"),
        (ContextKind::SuggestedValue, "use the value"),
    ];
    for (kind, step) in suggestions {
        report.next.extend(texts(error, kind).iter().map(|text| format!("{step} '{text}'")));
    }
    report.next.push(SEE_HELP.to_owned());
    report
}

/// Describes an error, from the context that clap gives it.
fn message(error: &clap::Error) -> String {
    let text = |kind| texts(error, kind).join(", ");
    let argument = || text(ContextKind::InvalidArg);
    let value = || text(ContextKind::InvalidValue);
    let choices = |label: &str, kind| match texts(error, kind) {
        choices if choices.is_empty() => String::new(),
        choices => format!(" ({label}: {})", choices.join(", ")),
    };
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument '{}'", argument()),
        ErrorKind::InvalidSubcommand => {
            format!("unknown subcommand '{}'", text(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let line = command_line();
            let names: Vec<&str> = line.get_subcommands().map(clap::Command::get_name).collect();
            format!("a subcommand is missing (one of: {})", names.join(", "))
        }
        ErrorKind::MissingRequiredArgument => format!("missing arguments: {}", argument()),
        ErrorKind::InvalidValue if value().is_empty() => {
            let values = choices("one of", ContextKind::ValidValue);
            format!("'{}' needs a value{values}", argument())
        }
        ErrorKind::InvalidValue => {
            let values = choices("one of", ContextKind::ValidValue);
            format!("invalid value '{}' for '{}'{values}", value(), argument())
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("invalid value '{}' for '{}'{reason}", value(), argument())
        }
        ErrorKind::ArgumentConflict => match text(ContextKind::PriorArg) {
            prior if prior.is_empty() || prior == argument() => {
                format!("'{}' cannot be given more than once", argument())
            }
            prior => format!("'{}' cannot be given together with '{prior}'", argument()),
        },
        ErrorKind::TooManyValues => format!("unexpected value '{}' for '{}'", value(), argument()),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("wrong number of values for '{}'", argument())
        }
        ErrorKind::NoEquals => format!("'{}' needs an equal sign before its value", argument()),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        kind => kind.to_string(),
    }
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;

    fn reported(line: &str) -> Report {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Arguments::parse_from_args(&arguments).unwrap_err();
        report(&error, command_of(&arguments))
    }

    #[test]
    fn each_error_names_what_is_wrong() {
        for (line, error) in [
            ("tokensink check --onyl x", "unexpected argument '--onyl'"),
            ("tokensink chekc", "unknown subcommand 'chekc'"),
            ("tokensink sinks a b", "unexpected argument 'b'"),
            (
                "tokensink check --output xml",
                "invalid value 'xml' for '--output <FORMAT>' (one of: text, json)",
            ),
            ("tokensink check --output", "'--output <FORMAT>' needs a value (one of: text, json)"),
            (
                "tokensink check --output text --output json",
                "'--output <FORMAT>' cannot be given more than once",
            ),
            (
                "tokensink check --upstash-api-key-file a --upstash-api-key-env b",
                "'--upstash-api-key-file <FILE>' cannot be given together with '--upstash-api-key-env <NAME>'",
            ),
        ] {
            assert_eq!(reported(line).errors, [error], "{line}");
        }
        let missing = &reported("tokensink").errors[0];
        assert!(
            missing.starts_with("a subcommand is missing (one of: check, reset, "),
            "{missing}"
        );
        let max_outage = &reported("tokensink reset --max-outage soon").errors[0];
        assert!(max_outage.starts_with("invalid value 'soon' for '--max-outage <"), "{max_outage}");
        assert!(max_outage.contains(">': "), "{max_outage}");
    }

    #[test]
    fn a_report_names_the_command_and_a_next_step() {
        let report = reported("tokensink check --onyl x");
        assert_eq!(report.command, Some(Command::Check));
        assert_eq!(report.next, ["use the argument '--only'", SEE_HELP]);
        let report = reported("tokensink chekc");
        assert_eq!(report.command, None);
        assert_eq!(report.next, ["use the subcommand 'check'", SEE_HELP]);
    }
}
