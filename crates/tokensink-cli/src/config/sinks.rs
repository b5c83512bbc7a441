//! Builds sinks from `[sinks.NAME]` tables.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Map, Value};
use tokensink_core::{
    BuildContext, Registry, SinkError, SinkFactory, TakesEffect, TargetId, TokenSink,
};
use tokensink_engine::{Sink, SinkOptions};

use super::duration::parse_duration;
use super::{ConfigError, InvalidInput, Layers, LoadedConfig};
use crate::args::Selection;
use crate::suggestion::nearest;

/// An option that every sink table has, in addition to those of its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommonOption {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
}

pub(crate) const COMMON_OPTIONS: [CommonOption; 6] = [
    CommonOption { name: "kind", default: "(required)", help: "The kind of the sink" },
    CommonOption {
        name: "required",
        default: "true",
        help: "Whether a reset needs this sink. A sink with `required = false` never changes the exit code",
    },
    CommonOption {
        name: "priority",
        default: "0",
        help: "Sinks with a higher number are written first, where a rate limit makes writes wait",
    },
    CommonOption {
        name: "timeout",
        default: "60s",
        help: "How long a write is retried, not counting pauses that the provider asks for",
    },
    CommonOption {
        name: "takes_effect",
        default: "that of the kind",
        help: "When applications use a new value: immediately, on-next-run, on-restart or on-deploy",
    },
    CommonOption {
        name: "replace",
        default: "(unset)",
        help: "\"anything\" overwrites a value that is a reference, a command, encrypted or structured",
    },
];

/// The sinks that `--only` and `--skip` select.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) sinks: Vec<Sink>,
    /// The names of the required sinks that were not selected.
    pub(crate) left_out: Vec<String>,
    /// The targets of all sinks that were not selected.
    pub(crate) other_targets: Vec<TargetId>,
}

/// Builds all sinks, and returns those that `selection` selects.
pub(crate) fn select(
    config: &LoadedConfig,
    selection: &Selection,
    registry: &Registry,
    context: &BuildContext,
) -> Result<Selected, InvalidInput> {
    let sinks = build_all(&config.sinks, &config.layers, registry, context)?;
    let names: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
    let unknown = unknown_names(selection, &names);
    if !unknown.is_empty() {
        return Err(unknown.into());
    }
    let is_selected = |sink: &Sink| {
        (selection.only.is_empty() || selection.only.contains(&sink.name))
            && !selection.skip.contains(&sink.name)
    };
    let (sinks, others): (Vec<Sink>, Vec<Sink>) = sinks.into_iter().partition(is_selected);
    if sinks.is_empty() {
        let names = names.join(", ");
        let error = format!("--only and --skip exclude every sink (the sinks are: {names})");
        return Err(vec![error].into());
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
    let errors = unknown.map(|(flag, name)| {
        let problem = if name.is_empty() {
            format!("{flag} has an empty name")
        } else {
            format!("{flag} {name}: no such sink")
        };
        match nearest(name, names.iter().copied()).filter(|_| !name.is_empty()) {
            Some(similar) => format!("{problem} (did you mean `{similar}`?)"),
            None => format!("{problem} (the sinks are: {})", names.join(", ")),
        }
    });
    errors.collect()
}

/// Builds the sinks of all tables.
///
/// # Errors
///
/// The errors of all tables together.
pub(super) fn build_all(
    tables: &Map<String, Value>,
    layers: &Layers,
    registry: &Registry,
    context: &BuildContext,
) -> Result<Vec<Sink>, Vec<ConfigError>> {
    let (mut sinks, mut errors) = (Vec::new(), Vec::new());
    for (name, table) in tables {
        match build_table(name, table, layers, registry, context) {
            Ok(built) => sinks.extend(built),
            Err(more) => errors.extend(more),
        }
    }
    errors.extend(shared_targets(&sinks, layers));
    if errors.is_empty() { Ok(sinks) } else { Err(errors) }
}

fn build_table(
    name: &str,
    table: &Value,
    layers: &Layers,
    registry: &Registry,
    context: &BuildContext,
) -> Result<Vec<Sink>, Vec<ConfigError>> {
    let place = format!("sinks.{name}");
    let Value::Object(table) = table else {
        return Err(vec![layers.error_at(&place, "expected a table")]);
    };
    let mut errors: Vec<ConfigError> = check_name(name, &place, layers).into_iter().collect();
    let mut table = table.clone();
    let mut common = Common { table: &mut table, place: &place, layers, errors: &mut errors };
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
    let replace = common.take("replace", "the string \"anything\"", |value| {
        value.as_str().filter(|text| *text == "anything").map(drop)
    });
    let deadline = common.deadline();
    let Some(factory) = factory else { return Err(errors) };

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
    let built = match (build(factory, table, &retyped, &context), errors.is_empty()) {
        (Ok(built), true) => built,
        (Ok(_), false) => return Err(errors),
        (Err(found), _) => {
            errors.extend(found.iter().map(|error| plugin_error(error, &place, factory, layers)));
            return Err(errors);
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

/// Returns an error if no variable could set an option of the sink `name`:
/// `TOKENSINK_SINKS__NAME__OPTION`.
fn check_name(name: &str, place: &str, layers: &Layers) -> Option<ConfigError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        let error = layers.error_at(place, "a sink's name may contain only a-z, 0-9, - and _");
        return Some(
            error.with_help("rename it, so that TOKENSINK_SINKS__NAME__OPTION can set it"),
        );
    }
    name.contains("__").then(|| {
        let error = layers.error_at(place, "a sink's name cannot contain a double underscore");
        error.with_help("rename it: `__` ends the name in TOKENSINK_SINKS__NAME__OPTION")
    })
}

/// Builds the sinks of `table`. A variable always contains a string: where the plugin rejects it, the
/// boolean or number that the string spells is tried.
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
    let retry = errors.iter().find_map(|error| {
        let option = error.option()?;
        let value = retyped(option, table.get(option)?)?;
        Some((option.to_owned(), value))
    });
    let Some((option, value)) = retry else { return Err(errors) };
    table.insert(option.clone(), value);
    match build(factory, table, retyped, context) {
        // The type was not the problem.
        Err(later) if later.iter().any(|error| error.option() == Some(&option)) => Err(errors),
        built => built,
    }
}

/// Reads the options that every table has, and removes them from it.
struct Common<'a> {
    table: &'a mut Map<String, Value>,
    place: &'a str,
    layers: &'a Layers,
    errors: &'a mut Vec<ConfigError>,
}

impl Common<'_> {
    fn kind(&mut self, registry: &Registry) -> Option<&'static SinkFactory> {
        let kinds = list_kinds(registry);
        let place = format!("{}.kind", self.place);
        let error = match self.table.remove("kind") {
            Some(Value::String(kind)) => {
                if let Some(factory) = registry.get(&kind) {
                    return Some(factory);
                }
                let unknown = self.layers.error_at(&place, format!("unknown kind `{kind}`"));
                unknown.with_help(match nearest(&kind, registry.kinds()) {
                    Some(similar) => format!("did you mean `{similar}`? {kinds}"),
                    None => kinds,
                })
            }
            Some(_) => self.layers.error_at(&place, "expected a string"),
            None => {
                let missing = self.layers.error_at(self.place, "missing option `kind`");
                missing.with_help(kinds)
            }
        };
        self.errors.push(error);
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
            self.errors.push(self.layers.error_at(&place, format!("expected {expected}")));
        }
        read
    }

    fn deadline(&mut self) -> Duration {
        let default = SinkOptions::default().deadline;
        let Some(value) = self.table.remove("timeout") else { return default };
        parse_duration(&value).unwrap_or_else(|problem| {
            let place = format!("{}.timeout", self.place);
            self.errors.push(self.layers.error_at(&place, problem));
            default
        })
    }
}

/// Lists the kinds that a table may have, for an error message.
pub(crate) fn list_kinds(registry: &Registry) -> String {
    let kinds: Vec<&str> = registry.kinds().collect();
    format!("the kinds are: {}", kinds.join(", "))
}

fn plugin_error(
    source: &SinkError,
    place: &str,
    factory: &SinkFactory,
    layers: &Layers,
) -> ConfigError {
    let problem = tokensink_engine::error_chain(source);
    let error = layers.error_at(place, format!("{}: {problem}", factory.kind()));
    let Some(option) = source.option() else {
        return error.with_help(source.help().unwrap_or_default());
    };
    let error = error.located_at(layers.error_at(&format!("{place}.{option}"), ""));
    match similar_option(option, factory) {
        Some(similar) => error.with_help(format!("did you mean `{similar}`?")),
        None => error.with_help(source.help().unwrap_or_default()),
    }
}

/// Returns the option whose name is most similar to that of an unknown one.
fn similar_option(option: &str, factory: &SinkFactory) -> Option<String> {
    let options = factory.options();
    let known: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
    // An error inside a value, such as `json.key`, is about a known option.
    let top = option.split(['.', '[']).next().unwrap_or(option);
    if known.contains(&top) {
        return None;
    }
    let common = COMMON_OPTIONS.iter().map(|option| option.name);
    nearest(option, known.into_iter().chain(common)).map(str::to_owned)
}

/// Returns an error for each pair of tables with the same target: they would overwrite each other.
fn shared_targets(sinks: &[Sink], layers: &Layers) -> Vec<ConfigError> {
    let mut owners: BTreeMap<TargetId, &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for sink in sinks {
        if let Some(owner) = owners.insert(sink.info.target.clone(), &sink.name) {
            let label = &sink.info.label;
            let (problem, help) = if owner == sink.name {
                (format!("names {label} twice"), "name it once")
            } else {
                let problem = format!("writes to the same place as [sinks.{owner}]: {label}");
                (problem, "use one table for all keys of one place")
            };
            let error = layers.error_at(&format!("sinks.{}", sink.name), problem);
            errors.push(error.with_help(help));
        }
    }
    errors
}
