//! The layers of a config, the weakest first: the user's file, the project's file, the environment.
//! They are merged into one config, and kept apart so that an error can name the file and line, or the
//! variable, that set a value.

use std::path::PathBuf;

use config::{Config, File, FileFormat};
use serde_json::Value;
use tokensink_core::{Environment, Origin};

use super::ConfigError;
use super::source::Source;

const VARIABLE_PREFIX: &str = "TOKENSINK_";

/// The layers of one config.
#[derive(Debug)]
pub(crate) struct Layers {
    project: Source,
    user: Option<Source>,
    variables: Vec<Variable>,
    /// The values that each file sets; `None` if it cannot be parsed without the other.
    project_alone: Option<Value>,
    user_alone: Option<Value>,
}

/// An environment variable that sets a config key.
#[derive(Debug)]
struct Variable {
    name: String,
    /// The dotted path of the key that it sets.
    place: String,
    text: String,
}

impl Layers {
    pub(super) fn new(project: Source, user: Option<Source>, environment: &Environment) -> Self {
        let (project_alone, user_alone) = (alone(&project), user.as_ref().and_then(alone));
        Self { project, user, variables: variables_of(environment), project_alone, user_alone }
    }

    /// Merges the layers. Stronger layers replace the values of weaker ones.
    pub(super) fn merged(&self) -> Result<Value, ConfigError> {
        // The `config` crate parses a bracket as an index, and allocates a list of that length.
        if let Some(variable) = self.variables.iter().find(|one| one.place.contains('[')) {
            let problem = "the name of a key cannot contain a bracket";
            return Err(ConfigError::in_variable(&variable.name, "", problem).with_help("unset it"));
        }
        let unusable = |error: config::ConfigError| {
            ConfigError::new(&self.project.file, "", format!("cannot be merged: {error}"))
        };
        let mut builder = Config::builder();
        if let Some(user) = &self.user {
            builder = builder.add_source(File::from_str(&user.text, FileFormat::Toml));
        }
        builder = builder.add_source(File::from_str(&self.project.text, FileFormat::Toml));
        let texts = self.variables.iter().map(|one| (one.place.clone(), one.text.clone()));
        let variables = config::Environment::default().source(Some(texts.collect()));
        let merged = builder.add_source(variables).build().map_err(unusable)?;
        merged.try_deserialize().map_err(unusable)
    }

    /// Creates an error about `place`, with the file and line, or the variable, that sets it.
    pub(super) fn error_at(&self, place: &str, problem: impl Into<String>) -> ConfigError {
        if let Some(variable) = self.variable(place) {
            return ConfigError::in_variable(&variable.name, place, problem);
        }
        let found = self.files().find_map(|file| Some((file, file.line_of(place)?)));
        let below = format!("{place}.");
        let below = self.variables.iter().find(|variable| variable.place.starts_with(&below));
        if let (None, Some(variable)) = (found, below) {
            return ConfigError::in_variable(&variable.name, place, problem);
        }
        match found.or_else(|| self.nearest(place)) {
            Some((source, line)) => {
                ConfigError::new(&source.file, place, problem).at_line(Some(line))
            }
            None => ConfigError::new(&self.project.file, place, problem),
        }
    }

    /// Returns the origin of the value of `place`. Where it is not certain, that is the project's file,
    /// which is trusted least.
    pub(super) fn origin(&self, place: &str) -> Origin {
        if self.variable(place).is_some() {
            return Origin::Environment;
        }
        let is_users = self.user.is_some() && has(self.user_alone.as_ref(), place);
        let is_projects = has(self.project_alone.as_ref(), place);
        if is_users && !is_projects { Origin::UserFile } else { Origin::ProjectFile }
    }

    /// Returns whether the project's file, or a variable, sets the table or key `name`.
    pub(super) fn is_named_outside_user_file(&self, name: &str) -> bool {
        let below = format!("{name}.");
        let sets =
            |variable: &Variable| variable.place == name || variable.place.starts_with(&below);
        has(self.project_alone.as_ref(), name) || self.variables.iter().any(sets)
    }

    pub(super) fn user(&self) -> Option<&Source> {
        self.user.as_ref()
    }

    /// Returns the boolean or number that `value` spells, if a variable sets `place`: variables have no
    /// other type than string.
    pub(super) fn retyped(&self, place: &str, value: &Value) -> Option<Value> {
        self.variable(place)?;
        let text = value.as_str()?.trim().to_lowercase();
        let retyped: Value = serde_json::from_str(&text).ok()?;
        Some(retyped).filter(|value| value.is_boolean() || value.is_number())
    }

    /// Returns an error if the user's own file contains sinks.
    pub(super) fn misplaced_sinks(&self) -> Option<ConfigError> {
        let user = self.user.as_ref()?;
        let line = user.line_of("sinks")?;
        let misplaced = ConfigError::new(&user.file, "sinks", "sinks belong in the project's file");
        Some(misplaced.at_line(Some(line)))
    }

    /// Returns the directory that relative paths start from.
    pub(crate) fn base_dir(&self) -> Result<PathBuf, ConfigError> {
        let unusable = |error: std::io::Error| {
            ConfigError::new(&self.project.file, "", format!("cannot find its directory: {error}"))
        };
        self.project.directory().map_err(unusable)
    }

    /// Returns the file and line of the innermost part of `place` that a file sets; of the stronger file
    /// if both set as much of it.
    fn nearest(&self, place: &str) -> Option<(&Source, usize)> {
        let near = self.files().filter_map(|file| Some((file, file.line_near(place)?)));
        let nearest = near.min_by_key(|(_, (_, depth))| std::cmp::Reverse(*depth));
        nearest.map(|(file, (line, _))| (file, line))
    }

    /// Returns the files, the stronger one first.
    fn files(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.project).chain(&self.user)
    }

    fn variable(&self, place: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.place == place)
    }
}

/// Returns the values that a file sets, in the form that the merge gives them.
fn alone(source: &Source) -> Option<Value> {
    let file = File::from_str(&source.text, FileFormat::Toml);
    Config::builder().add_source(file).build().and_then(Config::try_deserialize).ok()
}

/// Returns whether a file sets `place`. A file that cannot be parsed might set anything.
fn has(alone: Option<&Value>, place: &str) -> bool {
    let Some(root) = alone else { return true };
    place.split('.').try_fold(root, |value, part| value.get(part)).is_some()
}

/// Returns whether variables define a sink: one sets its kind. Others may only override a file's values.
pub(super) fn configures_sink(environment: &Environment) -> bool {
    let is_kind = |place: &str| place.starts_with("sinks.") && place.ends_with(".kind");
    variables_of(environment).iter().any(|variable| is_kind(&variable.place))
}

/// Returns the variables that set config keys. Their names contain a double underscore: Kubernetes
/// injects others with the same prefix for a service called tokensink.
fn variables_of(environment: &Environment) -> Vec<Variable> {
    let ours = environment.names().filter_map(|name| {
        let key = name.strip_prefix(VARIABLE_PREFIX).filter(|key| key.contains("__"))?;
        let place = key.to_lowercase().replace("__", ".");
        Some(Variable { name: name.to_owned(), place, text: environment.setting(name)?.to_owned() })
    });
    ours.collect()
}
