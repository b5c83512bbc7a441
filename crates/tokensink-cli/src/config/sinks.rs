//! From `[sinks.NAME]` tables to sinks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Map, Value};
use tokensink_core::{
    BuildContext, Registry, SinkError, SinkFactory, TakesEffect, TargetId, TokenSink,
};
use tokensink_engine::{Sink, SinkOptions};

use super::duration::duration_of;
use super::{Invalid, Layers, Mistake, Settings};
use crate::args::Selection;
use crate::suggestion::nearest;

/// The options that every table has, beside those of its kind.
pub(crate) const COMMON_OPTIONS: [&str; 6] =
    ["kind", "required", "priority", "timeout", "takes_effect", "replace"];

/// The sinks that take part.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) sinks: Vec<Sink>,
    /// The names of required ones that do not.
    pub(crate) left_out: Vec<String>,
    /// The targets of all that do not.
    pub(crate) other_targets: Vec<TargetId>,
}

/// Builds all sinks, and keeps those that `selection` names.
pub(crate) fn select(
    settings: &Settings,
    selection: &Selection,
    registry: &Registry,
    context: &BuildContext,
) -> Result<Selected, Invalid> {
    let sinks = build_all(&settings.sinks, &settings.layers, registry, context)?;
    let names: Vec<&str> = settings.sinks.keys().map(String::as_str).collect();
    let unknown = unknown_names(selection, &names);
    if !unknown.is_empty() {
        return Err(unknown.into());
    }
    let takes_part = |sink: &Sink| {
        (selection.only.is_empty() || selection.only.contains(&sink.name))
            && !selection.skip.contains(&sink.name)
    };
    let (sinks, others): (Vec<Sink>, Vec<Sink>) = sinks.into_iter().partition(takes_part);
    if sinks.is_empty() {
        let there_are = names.join(", ");
        return Err(
            vec![format!("--only and --skip leave no sink (there are: {there_are})")].into()
        );
    }
    let other_targets = others.iter().map(|sink| sink.info.target.clone()).collect();
    let mut left_out: Vec<String> =
        others.into_iter().filter(|sink| sink.required).map(|sink| sink.name).collect();
    left_out.dedup();
    Ok(Selected { sinks, left_out, other_targets })
}

fn unknown_names(selection: &Selection, names: &[&str]) -> Vec<String> {
    let asked = selection.only.iter().map(|name| ("--only", name));
    let asked = asked.chain(selection.skip.iter().map(|name| ("--skip", name)));
    let unknown = asked.filter(|(_, name)| !names.contains(&name.as_str()));
    let sentences = unknown.map(|(flag, name)| {
        let problem = if name.is_empty() {
            format!("{flag} names no sink")
        } else {
            format!("{flag} {name}: there is no such sink")
        };
        match nearest(name, names.iter().copied()).filter(|_| !name.is_empty()) {
            Some(meant) => format!("{problem} (did you mean `{meant}`?)"),
            None => format!("{problem} (there are: {})", names.join(", ")),
        }
    });
    sentences.collect()
}

/// Builds all sinks of all tables, or finds all mistakes in them.
pub(super) fn build_all(
    tables: &Map<String, Value>,
    layers: &Layers,
    registry: &Registry,
    context: &BuildContext,
) -> Result<Vec<Sink>, Vec<Mistake>> {
    let (mut sinks, mut mistakes) = (Vec::new(), Vec::new());
    for (name, table) in tables {
        match build_table(name, table, layers, registry, context) {
            Ok(built) => sinks.extend(built),
            Err(more) => mistakes.extend(more),
        }
    }
    mistakes.extend(shared_targets(&sinks, layers));
    if mistakes.is_empty() { Ok(sinks) } else { Err(mistakes) }
}

fn build_table(
    name: &str,
    table: &Value,
    layers: &Layers,
    registry: &Registry,
    context: &BuildContext,
) -> Result<Vec<Sink>, Vec<Mistake>> {
    let place = format!("sinks.{name}");
    let Value::Object(table) = table else {
        return Err(vec![layers.mistake(&place, "expected a table")]);
    };
    let mut mistakes: Vec<Mistake> = misnamed(name, &place, layers).into_iter().collect();
    let mut table = table.clone();
    let mut common = Common { table: &mut table, place: &place, layers, mistakes: &mut mistakes };
    let factory = common.kind(registry);
    let required = common.take("required", "true or false", |value| value.as_bool());
    let priority = common.take("priority", "a whole number", |value| {
        value.as_i64().and_then(|number| i32::try_from(number).ok())
    });
    let takes_effect = common.take(
        "takes_effect",
        "one of: immediately, on-next-run, on-restart, on-deploy",
        |value| TakesEffect::deserialize(value).ok(),
    );
    let replace = common.take("replace", "the text \"anything\"", |value| {
        value.as_str().filter(|text| *text == "anything").map(drop)
    });
    let deadline = common.deadline();
    let Some(factory) = factory else { return Err(mistakes) };

    let origins = table.keys().map(|option| {
        let origin = layers.origin(&format!("{place}.{option}"));
        (option.clone(), origin)
    });
    let mut context = context
        .with_attempt_timeout(Sink::attempt_timeout(deadline))
        .with_origins(origins.collect());
    if replace.is_some() {
        context = context.replacing_anything();
    }
    let retyped = |option: &str, value: &Value| layers.retyped(&format!("{place}.{option}"), value);
    let built = match (build(factory, table, &retyped, &context), mistakes.is_empty()) {
        (Ok(built), true) => built,
        (Ok(_), false) => return Err(mistakes),
        (Err(errors), _) => {
            mistakes.extend(errors.iter().map(|error| from_plugin(error, &place, factory, layers)));
            return Err(mistakes);
        }
    };
    let defaults = SinkOptions::default();
    let options = SinkOptions {
        required: required.unwrap_or(defaults.required),
        priority: priority.unwrap_or(defaults.priority),
        deadline,
        takes_effect,
    };
    let sinks = built.into_iter().map(|plugin| Sink::new(name, factory.kind(), options, plugin));
    Ok(sinks.collect())
}

/// A variable must be able to name the table: TOKENSINK_SINKS__NAME__OPTION.
fn misnamed(name: &str, place: &str, layers: &Layers) -> Option<Mistake> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        let mistake = layers.mistake(place, "a sink's name has only a-z, 0-9, - and _");
        return Some(mistake.with_help("so that TOKENSINK_SINKS__NAME__OPTION can name it"));
    }
    name.contains("__").then(|| {
        let mistake = layers.mistake(place, "a sink's name has no double underscore");
        mistake.with_help("it ends the name in TOKENSINK_SINKS__NAME__OPTION")
    })
}

/// What the plugin makes of `table`. A variable always holds a text; where the plugin does not take
/// one, it is given the number or the truth value that the text spells.
fn build(
    factory: &SinkFactory,
    mut table: Map<String, Value>,
    retyped: &impl Fn(&str, &Value) -> Option<Value>,
    context: &BuildContext,
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    let errors = match factory.build(table.clone(), context) {
        Ok(built) => return Ok(built),
        Err(errors) => errors,
    };
    let another_try = errors.iter().find_map(|error| {
        let option = error.option()?;
        let value = retyped(option, table.get(option)?)?;
        Some((option.to_owned(), value))
    });
    let Some((option, value)) = another_try else { return Err(errors) };
    table.insert(option.clone(), value);
    match build(factory, table, retyped, context) {
        // It was not the type.
        Err(later) if later.iter().any(|error| error.option() == Some(&option)) => Err(errors),
        built => built,
    }
}

/// The options that every table has.
struct Common<'a> {
    table: &'a mut Map<String, Value>,
    place: &'a str,
    layers: &'a Layers,
    mistakes: &'a mut Vec<Mistake>,
}

impl Common<'_> {
    fn kind(&mut self, registry: &Registry) -> Option<&'static SinkFactory> {
        let linked = linked(registry);
        let place = format!("{}.kind", self.place);
        let mistake = match self.table.remove("kind") {
            Some(Value::String(kind)) => {
                if let Some(factory) = registry.get(&kind) {
                    return Some(factory);
                }
                let unknown = self.layers.mistake(&place, format!("unknown kind `{kind}`"));
                unknown.with_help(match nearest(&kind, registry.kinds()) {
                    Some(meant) => format!("did you mean `{meant}`? {linked}"),
                    None => linked,
                })
            }
            Some(_) => self.layers.mistake(&place, "expected a text"),
            None => {
                let missing = self.layers.mistake(self.place, "missing option `kind`");
                missing.with_help(linked)
            }
        };
        self.mistakes.push(mistake);
        None
    }

    fn take<T>(
        &mut self,
        option: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.table.remove(option)?;
        let place = format!("{}.{option}", self.place);
        let read = read(&value).or_else(|| read(&self.layers.retyped(&place, &value)?));
        if read.is_none() {
            self.mistakes.push(self.layers.mistake(&place, format!("expected {expected}")));
        }
        read
    }

    fn deadline(&mut self) -> Duration {
        let default = SinkOptions::default().deadline;
        let Some(value) = self.table.remove("timeout") else { return default };
        duration_of(&value).unwrap_or_else(|problem| {
            let place = format!("{}.timeout", self.place);
            self.mistakes.push(self.layers.mistake(&place, problem));
            default
        })
    }
}

/// The kinds that a table may have.
pub(crate) fn linked(registry: &Registry) -> String {
    let kinds: Vec<&str> = registry.kinds().collect();
    format!("linked are: {}", kinds.join(", "))
}

fn from_plugin(error: &SinkError, place: &str, factory: &SinkFactory, layers: &Layers) -> Mistake {
    let problem = tokensink_engine::error_chain(error);
    let mistake = layers.mistake(place, format!("{}: {problem}", factory.kind()));
    let Some(option) = error.option() else {
        return mistake.with_help(error.help().unwrap_or_default());
    };
    let mistake = mistake.where_stands(layers.mistake(&format!("{place}.{option}"), ""));
    match meant_option(option, factory) {
        Some(meant) => mistake.with_help(format!("did you mean `{meant}`?")),
        None => mistake.with_help(error.help().unwrap_or_default()),
    }
}

/// The option that an unknown one most likely means.
fn meant_option(option: &str, factory: &SinkFactory) -> Option<String> {
    let options = factory.options();
    let known: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
    // An error below an option, such as `json.key`, names a known one.
    let top = option.split(['.', '[']).next().unwrap_or(option);
    if known.contains(&top) {
        return None;
    }
    nearest(option, known.into_iter().chain(COMMON_OPTIONS)).map(str::to_owned)
}

/// Two tables that mean one place would write over each other.
fn shared_targets(sinks: &[Sink], layers: &Layers) -> Vec<Mistake> {
    let mut owners: BTreeMap<TargetId, &str> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for sink in sinks {
        if let Some(owner) = owners.insert(sink.info.target.clone(), &sink.name) {
            let (problem, advice) = if owner == sink.name {
                (format!("names {} twice", sink.info.label), "name it once")
            } else {
                let problem =
                    format!("means the same place as [sinks.{owner}]: {}", sink.info.label);
                (problem, "let one table name all keys of a place")
            };
            let mistake = layers.mistake(&format!("sinks.{}", sink.name), problem);
            mistakes.push(mistake.with_help(advice));
        }
    }
    mistakes
}
