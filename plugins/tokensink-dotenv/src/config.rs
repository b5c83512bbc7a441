//! The options of a table of kind `dotenv`.

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
    /// the file, relative to the config file's directory
    path: Option<PathBuf>,
    /// several files, each of them a sink
    paths: Option<Vec<PathBuf>>,
    /// the name of the variable (default: QSTASH_TOKEN)
    key: Option<String>,
    /// several variables that hold the same token
    keys: Option<Vec<String>>,
    /// append a variable that is missing, or create a file that is missing
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
        let mut errors = Vec::new();
        let path_option = if self.paths.is_some() { "paths" } else { "path" };
        let key_option = if self.keys.is_some() { "keys" } else { "key" };
        let paths = one_or_many("path", self.path, self.paths, &mut errors);
        if paths.is_empty() && errors.is_empty() {
            errors.push(
                SinkError::config("missing option `path`")
                    .for_option("path")
                    .with_help("name the .env file"),
            );
        }
        let mut keys = one_or_many("key", self.key, self.keys, &mut errors);
        if keys.is_empty() {
            keys.push(DEFAULT_KEY.to_owned());
        }
        errors.extend(path_errors(path_option, &paths, context));
        errors.extend(key_errors(key_option, &keys));
        if !errors.is_empty() {
            return Err(errors);
        }
        let sink = |path: &PathBuf| DotenvSink::new(path, &keys, self.create, context);
        Ok(paths.iter().map(sink).collect())
    }
}

fn one_or_many<T>(
    name: &str,
    one: Option<T>,
    many: Option<Vec<T>>,
    errors: &mut Vec<SinkError>,
) -> Vec<T> {
    match (one, many) {
        (Some(_), Some(_)) => {
            errors.push(
                SinkError::config(format!("`{name}` and `{name}s` exclude each other"))
                    .for_option(name),
            );
            Vec::new()
        }
        (None, Some(many)) if many.is_empty() => {
            errors.push(
                SinkError::config(format!("option `{name}s` is empty"))
                    .for_option(format!("{name}s")),
            );
            Vec::new()
        }
        (one, many) => one.into_iter().chain(many.into_iter().flatten()).collect(),
    }
}

fn path_errors(option: &str, paths: &[PathBuf], context: &BuildContext) -> Vec<SinkError> {
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        let problem = format!("option `{option}` is empty");
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

fn key_errors(option: &str, keys: &[String]) -> Vec<SinkError> {
    let misnamed = keys.iter().filter(|key| !is_variable_name(key)).map(|key| {
        let problem = format!("option `{option}`: `{key}` is not the name of a variable");
        SinkError::config(problem).for_option(option).with_help("use letters, digits and _")
    });
    let repeated = keys.iter().enumerate().find(|(index, key)| keys[..*index].contains(key));
    let repeated = repeated.map(|(_, key)| {
        let problem = format!("option `{option}` names {key} more than once");
        SinkError::config(problem).for_option(option).with_help("name each variable once")
    });
    misnamed.chain(repeated).collect()
}

fn is_variable_name(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
