//! `init`: writes a commented config to start from. Never overwrites a file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use tokensink_core::{Registry, SinkFactory};
use tokensink_engine::{Command, Outcome, Report};

use super::{CommandContext, finish};
use crate::args::{DEFAULT_CONFIG, Output};
use crate::output::print_sentence;

const HEAD: &str = "\
# The places that receive the QStash token. This file contains no secrets and can be committed.
# `tokensink check` reports whether a reset could finish; `tokensink sinks KIND` lists the options of a kind.

[upstash]
# Credentials come from UPSTASH_EMAIL and UPSTASH_API_KEY, or from `upstash login`.
# Choose a QStash, if the account has more than one:
# region = \"eu-central-1\"
";

pub(super) fn run(context: &CommandContext<'_>) -> u8 {
    match write(context) {
        Ok(()) => {
            let file = context.global.config.display();
            let check = check_of(&context.global.config);
            if context.global.output == Output::Json {
                let mut report = Report::new(Command::Init, Outcome::Complete);
                report.next.push(format!("edit {file}, then run `{check}`"));
                return finish(context.global, &report);
            }
            print_sentence(&format!("wrote {file}: edit it, then run `{check}`"));
            0
        }
        Err(report) => finish(context.global, &report),
    }
}

/// Returns the command that checks `file`.
fn check_of(file: &Path) -> String {
    if file == Path::new(DEFAULT_CONFIG) {
        return "tokensink check".to_owned();
    }
    format!("tokensink check --config {}", file.display())
}

fn write(context: &CommandContext<'_>) -> Result<(), Report> {
    let file = &context.global.config;
    let refused = |outcome, error: String| Report::refused(Command::Init, outcome, vec![error]);
    let registry =
        Registry::linked().map_err(|error| refused(Outcome::Invalid, error.to_string()))?;
    let text = template(registry.iter());
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| {
        let shown = file.display();
        let (problem, next) = match error.kind() {
            ErrorKind::AlreadyExists if !file.is_dir() => (
                "it already exists".to_owned(),
                format!("check it with `{}`, or name another file with --config", check_of(file)),
            ),
            ErrorKind::AlreadyExists => {
                ("it is a directory".to_owned(), "name a file with --config".to_owned())
            }
            ErrorKind::NotFound => (
                "its directory does not exist".to_owned(),
                "create the directory, or name another file with --config".to_owned(),
            ),
            _ => (error.to_string(), "name a file that can be written with --config".to_owned()),
        };
        let mut report = refused(Outcome::Unchanged, format!("cannot write {shown}: {problem}"));
        report.next.push(next);
        report
    })
}

/// Returns the text of a new config. The table of the first kind is active, so that the config is valid;
/// the others are commented out.
fn template<'a>(factories: impl Iterator<Item = &'a SinkFactory>) -> String {
    let mut factories: Vec<&SinkFactory> = factories.collect();
    factories.sort_by_key(|factory| factory.kind() != "dotenv");
    let mut text = HEAD.to_owned();
    for (index, factory) in factories.iter().enumerate() {
        let comment = if index == 0 { "" } else { "# " };
        text += &format!("\n# {}\n", factory.summary());
        text += &format!("{comment}[sinks.{}]\n", name_for(factory.kind()));
        text += &format!("{comment}kind = \"{}\"\n", factory.kind());
        for line in factory.example().lines() {
            text += &format!("{comment}{line}\n");
        }
    }
    text
}

/// Returns a name for a sink. It contains no hyphen, so that shells can export variables that set its
/// options.
fn name_for(kind: &str) -> String {
    match kind {
        "dotenv" => "local".to_owned(),
        "github-actions" => "ci".to_owned(),
        "aws-secrets-manager" => "prod".to_owned(),
        other => other.replace('-', "_"),
    }
}
