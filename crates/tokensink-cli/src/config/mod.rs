//! The config: layered from the user's file, the project's file and `TOKENSINK_*__*` variables, and
//! read so that all mistakes are reported together.

mod duration;
mod mistake;
mod secret_shape;
mod sinks;
mod source;
mod upstash;

use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat};
use serde_json::{Map, Value};
use tokensink_core::{Environment, Registry, nearest};

pub(crate) use duration::duration_from_flag;
pub(crate) use mistake::Mistake;
pub(crate) use sinks::{Selected, select};
pub(crate) use upstash::UpstashTable;

use self::source::Source;

const TABLES: [&str; 2] = ["upstash", "sinks"];
const VARIABLE_PREFIX: &str = "TOKENSINK_";

/// A config without mistakes in `[upstash]`; sinks are built by [`select`].
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) upstash: UpstashTable,
    pub(crate) sinks: Map<String, Value>,
    pub(crate) layers: Layers,
}

/// The layers that were merged, so that a mistake can say where it stands.
#[derive(Debug)]
pub(crate) struct Layers {
    project: Source,
    user: Option<Source>,
    variables: Vec<(String, String)>,
}

impl Layers {
    /// A mistake at `place`, with the file and line on which it stands.
    pub(super) fn mistake(&self, place: &str, problem: impl Into<String>) -> Mistake {
        let in_project = self.project.line_of(place);
        let in_user = self.user.as_ref().and_then(|user| Some((user, user.line_of(place)?)));
        match (in_project, in_user) {
            (None, Some((user, line))) => {
                Mistake::new(&user.file, place, problem).at_line(Some(line))
            }
            (line, _) => Mistake::new(&self.project.file, place, problem).at_line(line),
        }
    }

    /// Whether `place` was set by the project's file and by nothing that is the user's own.
    pub(super) fn set_by_project_alone(&self, place: &str) -> bool {
        let Some((table, key)) = place.split_once('.') else { return true };
        let in_user: Option<toml::Table> =
            self.user.as_ref().and_then(|user| user.text.parse().ok());
        let by_user = in_user.is_some_and(|user| {
            user.get(table).and_then(|table| table.get(key)).is_some()
                && self.project.line_of(place).is_none_or(|line| {
                    self.project.line_of(table).is_some_and(|header| header == line)
                })
        });
        let variable = place.replace('.', "__").to_lowercase();
        let by_variable = self.variables.iter().any(|(name, _)| name.to_lowercase() == variable);
        !by_user && !by_variable
    }

    /// The folder from which relative paths are seen.
    pub(crate) fn base_dir(&self) -> Result<PathBuf, Mistake> {
        let unusable = |error: std::io::Error| {
            Mistake::new(&self.project.file, "", format!("its folder cannot be named: {error}"))
        };
        let absolute = std::path::absolute(&self.project.file).map_err(unusable)?;
        Ok(absolute.parent().unwrap_or(Path::new("/")).to_owned())
    }
}

/// Reads and merges all layers.
pub(crate) fn load(
    project: &Path,
    user: Option<&Path>,
    environment: &Environment,
) -> Result<Settings, Vec<Mistake>> {
    let project = Source::read(project).map_err(|mistake| vec![mistake])?.ok_or_else(|| {
        let missing = Mistake::new(project, "", "there is no such file");
        vec![
            missing
                .advise("`tokensink init` writes one to start from, or name yours with --config"),
        ]
    })?;
    let user = match user.map(Source::read) {
        Some(read) => read.map_err(|mistake| vec![mistake])?,
        None => None,
    };
    read(Layers { project, user, variables: variables_of(environment) })
}

/// Loads `bytes` as a config, and builds its sinks. For the fuzzer: it must not panic.
#[cfg(fuzzing)]
pub fn load_bytes(bytes: &[u8]) {
    let Ok(project) = Source::parse(Path::new("tokensink.toml"), bytes.to_vec()) else { return };
    let Ok(settings) = read(Layers { project, user: None, variables: Vec::new() }) else { return };
    let registry = Registry::linked().expect("the plugins fit together");
    let context = tokensink_core::BuildContext::new("/", Environment::default());
    let _ = select(&settings, &Default::default(), &registry, &context);
}

/// Only names with a double underscore are config: a cluster injects others that begin alike.
fn variables_of(environment: &Environment) -> Vec<(String, String)> {
    let ours = environment.names().filter_map(|name| {
        let key = name.strip_prefix(VARIABLE_PREFIX).filter(|key| key.contains("__"))?;
        Some((key.to_owned(), environment.setting(name)?.to_owned()))
    });
    ours.collect()
}

fn merge(layers: &Layers) -> Result<Value, Mistake> {
    let unusable = |error: config::ConfigError| {
        Mistake::new(&layers.project.file, "", format!("could not be merged: {error}"))
    };
    let mut builder = Config::builder();
    if let Some(user) = &layers.user {
        builder = builder.add_source(File::from_str(&user.text, FileFormat::Toml));
    }
    builder = builder.add_source(File::from_str(&layers.project.text, FileFormat::Toml));
    let variables = config::Environment::default()
        .separator("__")
        .try_parsing(true)
        .source(Some(layers.variables.iter().cloned().collect()));
    let merged = builder.add_source(variables).build().map_err(unusable)?;
    merged.try_deserialize().map_err(unusable)
}

fn read(layers: Layers) -> Result<Settings, Vec<Mistake>> {
    let mut merged = merge(&layers).map_err(|mistake| vec![mistake])?;
    let secrets = secret_shape::withhold(&mut merged, "");
    let Value::Object(mut root) = merged else {
        return Err(vec![layers.mistake("", "expected tables")]);
    };
    if root.is_empty() {
        let empty = layers.mistake("", "the file is empty");
        return Err(vec![empty.advise("`tokensink init` writes one to start from")]);
    }
    let mut mistakes = unknown_tables(&root, &layers);
    for place in secrets {
        let mistake = layers.mistake(&place, "this looks like a secret");
        mistakes.push(mistake.advise(
            "no secret stands in a config: name an environment variable, and reset this one",
        ));
    }
    let upstash = table(&mut root, "upstash", &layers, &mut mistakes);
    let sinks = table(&mut root, "sinks", &layers, &mut mistakes);
    if let Some(user) = &layers.user
        && let Some(line) = user.line_of("sinks")
    {
        let misplaced = "sinks belong into the project's file";
        mistakes.push(Mistake::new(&user.file, "sinks", misplaced).at_line(Some(line)));
    }
    if sinks.is_empty() {
        let none = layers.mistake("sinks", "there is no sink");
        mistakes.push(none.advise("add a table such as [sinks.local]; see `tokensink sinks`"));
    }
    match upstash::read(&upstash, &layers) {
        Ok(upstash) if mistakes.is_empty() => Ok(Settings { upstash, sinks, layers }),
        Ok(_) => Err(with_sink_mistakes(mistakes, &sinks, &layers)),
        Err(more) => {
            mistakes.extend(more);
            Err(with_sink_mistakes(mistakes, &sinks, &layers))
        }
    }
}

/// A file with a mistake elsewhere is still read to its end.
fn with_sink_mistakes(
    mut mistakes: Vec<Mistake>,
    tables: &Map<String, Value>,
    layers: &Layers,
) -> Vec<Mistake> {
    if let (Ok(registry), Ok(base_dir)) = (Registry::linked(), layers.base_dir()) {
        let context = tokensink_core::BuildContext::new(base_dir, Environment::default());
        if let Err(more) = sinks::build_all(tables, layers, &registry, &context) {
            mistakes.extend(more);
        }
    }
    mistakes
}

fn unknown_tables(root: &Map<String, Value>, layers: &Layers) -> Vec<Mistake> {
    let unknown = root.keys().filter(|key| !TABLES.contains(&key.as_str()));
    let mistakes = unknown.map(|key| {
        let mistake = layers.mistake(key, "unknown table");
        match nearest(key, TABLES) {
            Some(meant) => mistake.advise(format!("did you mean [{meant}]?")),
            None => mistake.advise("there are [upstash] and [sinks.NAME]"),
        }
    });
    mistakes.collect()
}

fn table(
    root: &mut Map<String, Value>,
    name: &str,
    layers: &Layers,
    mistakes: &mut Vec<Mistake>,
) -> Map<String, Value> {
    match root.remove(name) {
        Some(Value::Object(table)) => table,
        Some(_) => {
            mistakes.push(layers.mistake(name, "expected a table"));
            Map::new()
        }
        None => Map::new(),
    }
}
