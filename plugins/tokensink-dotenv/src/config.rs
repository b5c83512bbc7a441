//! What a table of kind `dotenv` may hold.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tokensink_core::{BuildContext, PathProblem, SinkConfig, SinkError, path_problem};

use crate::DotenvSink;

pub(crate) const DEFAULT_KEY: &str = "QSTASH_TOKEN";

/// `[sinks.NAME]` with `kind = "dotenv"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DotenvConfig {
    /// the file, seen from the config file's directory
    path: Option<PathBuf>,
    /// several files, each a sink of its own
    paths: Option<Vec<PathBuf>>,
    /// the variable's name; QSTASH_TOKEN unless given
    key: Option<String>,
    /// several variables that hold the same token
    keys: Option<Vec<String>>,
    /// append a variable, or make a file, that is not there yet
    create: bool,
}

impl SinkConfig for DotenvConfig {
    const KIND: &'static str = "dotenv";
    const SUMMARY: &'static str = "a variable in .env files";
    const PERMISSIONS: &'static str = "write permission on the file and on its directory";
    const TAKES_EFFECT: &'static str = "when the application is started again";
    const EXAMPLE: &'static str = "path = \".env\"";
    type Sink = DotenvSink;

    fn build(self, context: &BuildContext) -> Result<Vec<DotenvSink>, Vec<SinkError>> {
        let mut mistakes = Vec::new();
        let path_option = if self.paths.is_some() { "paths" } else { "path" };
        let key_option = if self.keys.is_some() { "keys" } else { "key" };
        let paths = one_or_many("path", self.path, self.paths, &mut mistakes);
        if paths.is_empty() && mistakes.is_empty() {
            mistakes
                .push(SinkError::config("missing option `path`").with_help("name the .env file"));
        }
        let mut keys = one_or_many("key", self.key, self.keys, &mut mistakes);
        if keys.is_empty() {
            keys.push(DEFAULT_KEY.to_owned());
        }
        mistakes.extend(mistakes_in_paths(path_option, &paths, context));
        mistakes.extend(mistakes_in_keys(key_option, &keys));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let sink = |path: &PathBuf| DotenvSink::new(path, &keys, self.create, context);
        Ok(paths.iter().map(sink).collect())
    }
}

fn one_or_many<T>(
    name: &str,
    one: Option<T>,
    many: Option<Vec<T>>,
    mistakes: &mut Vec<SinkError>,
) -> Vec<T> {
    match (one, many) {
        (Some(_), Some(_)) => {
            mistakes.push(SinkError::config(format!("`{name}` and `{name}s` exclude each other")));
            Vec::new()
        }
        (None, Some(many)) if many.is_empty() => {
            mistakes.push(SinkError::config(format!("option `{name}s` is empty")));
            Vec::new()
        }
        (one, many) => one.into_iter().chain(many.into_iter().flatten()).collect(),
    }
}

fn mistakes_in_paths(option: &str, paths: &[PathBuf], context: &BuildContext) -> Vec<SinkError> {
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        let problem = format!("option `{option}` names no file");
        return vec![SinkError::config(problem).for_option(option).with_help("name the .env file")];
    }
    let home = context.environment().setting("HOME");
    let problems = paths.iter().filter_map(|path| path_problem(path, home));
    let error = |found: PathProblem| {
        let problem = format!("option `{option}`: {}", found.problem);
        SinkError::config(problem).for_option(option).with_help(found.help)
    };
    problems.map(error).collect()
}

fn mistakes_in_keys(option: &str, keys: &[String]) -> Vec<SinkError> {
    let misnamed = keys.iter().filter(|key| !is_variable_name(key)).map(|key| {
        let problem = format!("option `{option}`: `{key}` is no variable's name");
        SinkError::config(problem).with_help("use letters, digits and _")
    });
    let repeated = keys.iter().enumerate().find(|(index, key)| keys[..*index].contains(key));
    let repeated = repeated.map(|(_, key)| {
        let problem = format!("option `{option}` names {key} more than once");
        SinkError::config(problem).with_help("name each variable once")
    });
    misnamed.chain(repeated).collect()
}

fn is_variable_name(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
