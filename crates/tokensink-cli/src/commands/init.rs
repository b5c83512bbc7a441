//! `init`: a commented config to start from. Never overwrites.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use tokensink_core::{Registry, SinkFactory};
use tokensink_engine::{Command, Outcome, Report};

use super::{World, finish};
use crate::args::{DEFAULT_CONFIG, Output};
use crate::output::print_sentence;

const HEAD: &str = "\
# Where the QStash token must arrive. No secret stands in this file: commit it.
# `tokensink check` says whether a reset could finish; `tokensink sinks KIND` explains the options.

[upstash]
# Credentials: UPSTASH_EMAIL and UPSTASH_API_KEY, or what `upstash login` saved.
# Which QStash, if the account has several:
# region = \"eu-central-1\"
";

pub(super) fn run(world: &World<'_>) -> u8 {
    match write(world) {
        Ok(()) => {
            let file = world.global.config.display();
            let check = check_of(&world.global.config);
            if world.global.output == Output::Json {
                let mut report = Report::new(Command::Init, Outcome::Complete);
                report.next.push(format!("edit {file}, then run `{check}`"));
                return finish(world.global, &report);
            }
            print_sentence(&format!("wrote {file}: edit it, then run `{check}`"));
            0
        }
        Err(report) => finish(world.global, &report),
    }
}

/// The command that reads `file`.
fn check_of(file: &Path) -> String {
    if file == Path::new(DEFAULT_CONFIG) {
        return "tokensink check".to_owned();
    }
    format!("tokensink check --config {}", file.display())
}

fn write(world: &World<'_>) -> Result<(), Report> {
    let file = &world.global.config;
    let refused = |outcome, why: String| Report::refused(Command::Init, outcome, vec![why]);
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
        let (why, next) = match error.kind() {
            ErrorKind::AlreadyExists if !file.is_dir() => (
                format!("{shown} is there already, and is not overwritten"),
                format!(
                    "see what it says with `{}`, or name another one with --config",
                    check_of(file)
                ),
            ),
            ErrorKind::AlreadyExists => {
                (format!("{shown} is a folder"), "name a file with --config".to_owned())
            }
            ErrorKind::NotFound => (
                format!("could not write {shown}: its folder is not there"),
                "make the folder first, or name another file with --config".to_owned(),
            ),
            _ => (
                format!("could not write {shown}: {error}"),
                "name a file with --config that can be written".to_owned(),
            ),
        };
        let mut report = refused(Outcome::Unchanged, why);
        report.next.push(next);
        report
    })
}

/// The first kind's table is live, so that the file is a config; the others are commented out.
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

/// A name that a shell can export in a variable: without a hyphen.
fn name_for(kind: &str) -> String {
    match kind {
        "dotenv" => "local".to_owned(),
        "github-actions" => "ci".to_owned(),
        "aws-secrets-manager" => "prod".to_owned(),
        other => other.replace('-', "_"),
    }
}
