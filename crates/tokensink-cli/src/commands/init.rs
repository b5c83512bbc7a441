//! `init`: a commented config to start from. Never overwrites.

use std::fs::OpenOptions;
use std::io::Write as _;

use tokensink_core::{Registry, SinkFactory};
use tokensink_engine::{Command, Outcome, Report};

use super::{World, finish};
use crate::args::Output;
use crate::output::say;

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
            if world.global.output == Output::Json {
                let mut report = Report::new(Command::Init, Outcome::Complete);
                report.next.push(format!("edit {file}, then run `tokensink check`"));
                return finish(world.global, &report);
            }
            say(&format!("wrote {file}: edit it, then run `tokensink check`"));
            0
        }
        Err(report) => finish(world.global, &report),
    }
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
        let why = if error.kind() == std::io::ErrorKind::AlreadyExists {
            format!("{} is there already, and is not overwritten", file.display())
        } else {
            format!("could not write {}: {error}", file.display())
        };
        refused(Outcome::Unchanged, why)
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
        text += &format!("{comment}[sinks.{}]\n", factory.kind());
        text += &format!("{comment}kind = \"{}\"\n", factory.kind());
        for line in factory.example().lines() {
            text += &format!("{comment}{line}\n");
        }
    }
    text
}
