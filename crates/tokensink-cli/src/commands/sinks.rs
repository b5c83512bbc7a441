//! `sinks`: lists the linked sink kinds, or explains one of them.

use serde::Serialize;
use tokensink_core::{Registry, SinkFactory};
use tokensink_engine::{Command, Outcome, Report};

use super::{CommandContext, finish};
use crate::args::Output;
use crate::config::{COMMON_OPTIONS, CommonOption, list_kinds};
use crate::output::{print_block, print_json, print_rows, print_sentence, print_stdout};
use crate::suggestion::nearest;

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    sinks: Vec<Kind>,
}

#[derive(Serialize)]
struct Kind {
    kind: &'static str,
    summary: &'static str,
    options: Vec<KindOption>,
    permissions: &'static str,
    takes_effect: &'static str,
}

#[derive(Serialize)]
struct KindOption {
    name: String,
    required: bool,
    help: String,
}

pub(super) fn run(context: &CommandContext<'_>, kind: Option<&str>) -> u8 {
    match chosen(kind) {
        Ok(factories) => {
            match (context.global.output, kind) {
                (Output::Json, _) => print_document(&factories),
                (Output::Text, None) => list(&factories),
                (Output::Text, Some(_)) => factories.iter().for_each(|factory| explain(factory)),
            }
            0
        }
        Err(error) => {
            finish(context.global, &Report::refused(Command::Sinks, Outcome::Invalid, vec![error]))
        }
    }
}

fn chosen(kind: Option<&str>) -> Result<Vec<&'static SinkFactory>, String> {
    let registry = Registry::linked().map_err(|error| error.to_string())?;
    let Some(kind) = kind else { return Ok(registry.iter().collect()) };
    let unknown = || {
        let kinds = list_kinds(&registry);
        match nearest(kind, registry.kinds()) {
            Some(similar) => {
                format!("unknown sink kind `{kind}` (did you mean `{similar}`? {kinds})")
            }
            None => format!("unknown sink kind `{kind}` ({kinds})"),
        }
    };
    Ok(vec![registry.get(kind).ok_or_else(unknown)?])
}

fn list(factories: &[&SinkFactory]) {
    let rows: Vec<[String; 2]> = factories
        .iter()
        .map(|factory| [factory.kind().to_owned(), factory.summary().to_owned()])
        .collect();
    print_rows(["KIND", "WRITES"], &rows);
    print_stdout("");
    print_stdout("`tokensink sinks KIND` shows the options of a kind.");
}

fn explain(factory: &SinkFactory) {
    print_sentence(&format!("{}: {}", factory.kind(), factory.summary()));
    print_stdout("");
    let rows: Vec<[String; 3]> = factory
        .options()
        .into_iter()
        .map(|option| {
            let required = if option.required { "required" } else { "" };
            [option.name, required.to_owned(), option.help.replace('\n', " ")]
        })
        .collect();
    print_rows(["OPTION", "", "MEANING"], &rows);
    print_stdout("");
    print_stdout("Options of every kind:");
    print_stdout("");
    let rows = COMMON_OPTIONS
        .map(|CommonOption { name, default, help }| [name, default, help].map(str::to_owned));
    print_rows(["OPTION", "DEFAULT", "MEANING"], &rows);
    print_stdout("");
    print_sentence(&format!("Takes effect: {}", factory.takes_effect()));
    print_sentence("If that is different for your application, set `takes_effect`.");
    print_stdout("");
    print_stdout("Permissions:");
    for line in factory.permissions().lines() {
        print_sentence(&format!("  {}", line.trim()));
    }
    print_block(&format!(
        "\nExample:\n\n[sinks.example]\nkind = \"{}\"\n{}",
        factory.kind(),
        factory.example()
    ));
}

fn print_document(factories: &[&SinkFactory]) {
    let kinds = factories.iter().map(|factory| Kind {
        kind: factory.kind(),
        summary: factory.summary(),
        options: factory
            .options()
            .into_iter()
            .map(|option| KindOption {
                name: option.name,
                required: option.required,
                help: option.help,
            })
            .collect(),
        permissions: factory.permissions(),
        takes_effect: factory.takes_effect(),
    });
    print_json(&Document { schema: "tokensink.sinks/1", sinks: kinds.collect() });
}
