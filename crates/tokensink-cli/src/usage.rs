//! The answer to arguments that ask for help, or that could not be understood.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use tokensink_engine::{Command, Outcome, Report};

use crate::args::{Output, command_line};
use crate::output::{print_report, say, tell};

/// Help and version are no errors; everything else is, also for a script.
pub(crate) fn answer(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        say(error.render().ansi().to_string().trim_end());
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if asks_for_json(&arguments) {
        print_report(&report(&error.render().to_string(), command_of(&arguments)), Output::Json);
    } else {
        tell(error.render().ansi().to_string().trim_end());
    }
    ExitCode::from(Outcome::Invalid.exit_code())
}

/// Whether arguments that could not be parsed ask for JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let apart = arguments.windows(2).any(|pair| pair == ["--output", "json"]);
    apart || arguments.iter().any(|argument| argument == "--output=json")
}

/// The command among arguments that could not be parsed, if that much could be.
fn command_of(arguments: &[OsString]) -> Option<Command> {
    let lenient = command_line().ignore_errors(true);
    let matches = lenient.try_get_matches_from(arguments).ok()?;
    serde_json::from_value(matches.subcommand_name()?.into()).ok()
}

/// What clap says to a person, as a report: the error first, then tips, each with an empty line
/// before it.
fn report(text: &str, command: Option<Command>) -> Report {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.trim().split("\n\n");
    let error = one_line(paragraphs.next().unwrap_or_default());
    let error = error.strip_prefix("error: ").unwrap_or(&error).to_owned();
    let mut report = Report::refused(command, Outcome::Invalid, vec![error]);
    let tips = paragraphs.filter_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
    report.next.extend(tips.map(one_line));
    report
        .next
        .push("`tokensink --help` and `tokensink COMMAND --help` tell what there is".to_owned());
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;

    fn reported(line: &str) -> Report {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Arguments::read(&arguments).unwrap_err();
        report(&error.render().to_string(), command_of(&arguments))
    }

    #[test]
    fn a_script_gets_sentences() {
        let report = reported("tokensink check --onyl x");
        assert_eq!(report.errors, ["unexpected argument '--onyl' found"]);
        assert_eq!(report.command, Some(Command::Check));
        assert_eq!(report.next[0], "a similar argument exists: '--only'");
        let report = reported("tokensink chekc");
        assert_eq!((report.command, report.next.len()), (None, 2), "{report:?}");
        for line in ["tokensink", "tokensink reset --max-outage soon", "tokensink sinks a b"] {
            let report = reported(line);
            assert!(!report.errors[0].starts_with("error"), "{report:?}");
            let mut sentences = report.errors.iter().chain(&report.next);
            assert!(sentences.all(|line| !line.contains('\n')), "{report:?}");
        }
    }
}
