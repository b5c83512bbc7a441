//! The layers of a config, the weakest first: the user's file, the project's file, the environment.
//! Merged they are the config; apart they tell who said what, and where.

use std::path::PathBuf;

use config::{Config, File, FileFormat};
use serde_json::Value;
use tokensink_core::{Environment, Origin};

use super::Mistake;
use super::source::Source;

const VARIABLE_PREFIX: &str = "TOKENSINK_";

/// The layers that were merged, so that a mistake can say where it stands.
#[derive(Debug)]
pub(crate) struct Layers {
    project: Source,
    user: Option<Source>,
    variables: Vec<Variable>,
    /// What each file alone sets: `None` where it cannot be read alone.
    project_alone: Option<Value>,
    user_alone: Option<Value>,
}

/// A setting out of the environment.
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

    /// What the layers say together.
    pub(super) fn merged(&self) -> Result<Value, Mistake> {
        // `config` takes a bracket for an index, and makes a list as long as it says.
        if let Some(variable) = self.variables.iter().find(|one| one.place.contains('[')) {
            let problem = "a bracket is in the name of no key";
            return Err(Mistake::in_variable(&variable.name, "", problem).with_help("unset it"));
        }
        let unusable = |error: config::ConfigError| {
            Mistake::new(&self.project.file, "", format!("could not be merged: {error}"))
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

    /// A mistake at `place`, with the file and line, or the variable, that says so.
    pub(super) fn mistake(&self, place: &str, problem: impl Into<String>) -> Mistake {
        if let Some(variable) = self.variable(place) {
            return Mistake::in_variable(&variable.name, place, problem);
        }
        let found = self.files().find_map(|file| Some((file, file.line_of(place)?)));
        let below = format!("{place}.");
        let below = self.variables.iter().find(|variable| variable.place.starts_with(&below));
        if let (None, Some(variable)) = (found, below) {
            return Mistake::in_variable(&variable.name, place, problem);
        }
        match found.or_else(|| self.nearest(place)) {
            Some((source, line)) => Mistake::new(&source.file, place, problem).at_line(Some(line)),
            None => Mistake::new(&self.project.file, place, problem),
        }
    }

    /// Where the value of `place` was given. What is not certainly given outside the project's file
    /// counts as given in it.
    pub(super) fn origin(&self, place: &str) -> Origin {
        if self.variable(place).is_some() {
            return Origin::Environment;
        }
        let is_users = self.user.is_some() && has(self.user_alone.as_ref(), place);
        let is_projects = has(self.project_alone.as_ref(), place);
        if is_users && !is_projects { Origin::UserFile } else { Origin::ProjectFile }
    }

    /// Whether the project's file, or a variable that sets config keys, names the table or key `name`.
    pub(super) fn is_named_outside_user_file(&self, name: &str) -> bool {
        let below = format!("{name}.");
        let sets =
            |variable: &Variable| variable.place == name || variable.place.starts_with(&below);
        has(self.project_alone.as_ref(), name) || self.variables.iter().any(sets)
    }

    /// The user's own file.
    pub(super) fn user(&self) -> Option<&Source> {
        self.user.as_ref()
    }

    /// What a variable's text means where no text is wanted: true, false, or a number.
    pub(super) fn retyped(&self, place: &str, value: &Value) -> Option<Value> {
        self.variable(place)?;
        let text = value.as_str()?.trim().to_lowercase();
        let retyped: Value = serde_json::from_str(&text).ok()?;
        Some(retyped).filter(|value| value.is_boolean() || value.is_number())
    }

    /// The mistake of a user whose own file has sinks.
    pub(super) fn misplaced_sinks(&self) -> Option<Mistake> {
        let user = self.user.as_ref()?;
        let line = user.line_of("sinks")?;
        let misplaced = Mistake::new(&user.file, "sinks", "sinks belong into the project's file");
        Some(misplaced.at_line(Some(line)))
    }

    /// The directory that relative paths start from.
    pub(crate) fn base_dir(&self) -> Result<PathBuf, Mistake> {
        let unusable = |error: std::io::Error| {
            Mistake::new(&self.project.file, "", format!("cannot find its directory: {error}"))
        };
        self.project.directory().map_err(unusable)
    }

    /// Where the innermost part of `place` stands; in the stronger file, if both have as much of it.
    fn nearest(&self, place: &str) -> Option<(&Source, usize)> {
        let near = self.files().filter_map(|file| Some((file, file.line_near(place)?)));
        let nearest = near.min_by_key(|(_, (_, depth))| std::cmp::Reverse(*depth));
        nearest.map(|(file, (line, _))| (file, line))
    }

    /// The files, the stronger one first.
    fn files(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.project).chain(&self.user)
    }

    fn variable(&self, place: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.place == place)
    }
}

/// What a file sets, in the form that the merge gives it.
fn alone(source: &Source) -> Option<Value> {
    let file = File::from_str(&source.text, FileFormat::Toml);
    Config::builder().add_source(file).build().and_then(Config::try_deserialize).ok()
}

/// Whether a file sets `place`. One that cannot be read alone is not to be trusted with an absence.
fn has(alone: Option<&Value>, place: &str) -> bool {
    let Some(root) = alone else { return true };
    place.split('.').try_fold(root, |value, part| value.get(part)).is_some()
}

/// Only names with a double underscore are config: a cluster injects others that begin alike.
fn variables_of(environment: &Environment) -> Vec<Variable> {
    let ours = environment.names().filter_map(|name| {
        let key = name.strip_prefix(VARIABLE_PREFIX).filter(|key| key.contains("__"))?;
        let place = key.to_lowercase().replace("__", ".");
        Some(Variable { name: name.to_owned(), place, text: environment.setting(name)?.to_owned() })
    });
    ours.collect()
}
