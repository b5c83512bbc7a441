//! The context in which a plugin builds a sink.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Secret;

/// A snapshot of the process environment. Every value is treated as a secret and is
/// [`trimmed`](crate::trimmed), because blanks and line ends around a value are never intended.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, Secret>>);

impl Environment {
    /// Returns the credential in variable `name`, or `None` if it is unset, empty or blank.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|secret| !secret.is_empty())
    }

    /// Returns the plain setting in variable `name` (a path, a host), or `None` if it is unset, empty
    /// or blank.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.secret(name).map(Secret::expose)
    }

    /// Returns the names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let variables =
            variables.into_iter().map(|(name, value)| (name, Secret::new(value).trimmed()));
        Self(Arc::new(variables.collect()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

type Shared = BTreeMap<String, Arc<dyn Any + Send + Sync>>;

/// The source of a setting. A project's config file may come from a stranger, so a credential is not
/// sent to a host that only this file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The project's config file, or any file given with `--config`.
    ProjectFile,
    /// The user's own config file.
    UserFile,
    /// The file that the credential itself is read from.
    CredentialFile,
    /// An environment variable.
    Environment,
    /// A flag on the command line.
    CommandLine,
}

/// The hosts that the user trusts in addition to the vendors' own, and the credentials for them. It is
/// never read from the project's config file. `tokensink-http` applies it; this crate only passes it
/// to the plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// Allowed hosts, as `HOST` (every port) or `HOST:PORT`, as normalized by a URL parser.
    pub allowed: BTreeSet<String>,
    /// For a host of that form, the environment variable that contains its credential.
    pub token_variables: BTreeMap<String, String>,
}

impl HostPolicy {
    /// Creates a policy that allows `hosts`, each in the form of [`allowed`](Self::allowed).
    pub fn allowing<T: Into<String>>(hosts: impl IntoIterator<Item = T>) -> Self {
        let allowed = hosts.into_iter().map(Into::into).collect();
        Self { allowed, token_variables: BTreeMap::new() }
    }
}

/// The argument of [`SinkConfig::build`](crate::SinkConfig::build): everything that a sink may use of
/// the process that it runs in.
#[derive(Clone)]
pub struct BuildContext {
    base_dir: PathBuf,
    environment: Environment,
    attempt_timeout: Duration,
    hosts: Arc<HostPolicy>,
    origins: Arc<BTreeMap<String, Origin>>,
    replaces_anything: bool,
    shared: Arc<Mutex<Shared>>,
}

impl BuildContext {
    /// Creates a context. `base_dir` is the absolute path of the config file's directory.
    pub fn new(base_dir: impl Into<PathBuf>, environment: Environment) -> Self {
        Self {
            base_dir: base_dir.into(),
            environment,
            attempt_timeout: Duration::from_millis(7500),
            hosts: Arc::default(),
            origins: Arc::default(),
            replaces_anything: false,
            shared: Arc::default(),
        }
    }

    /// Returns the same context for a table with its own timeout. Shared values stay shared.
    #[must_use]
    pub fn with_attempt_timeout(&self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self.clone() }
    }

    /// Returns the same context with the hosts that the user trusts.
    #[must_use]
    pub fn with_hosts(&self, hosts: HostPolicy) -> Self {
        Self { hosts: Arc::new(hosts), ..self.clone() }
    }

    /// Returns the same context for a table whose options have these origins. The origin of an option
    /// without an entry is the project's config file.
    #[must_use]
    pub fn with_origins(&self, origins: BTreeMap<String, Origin>) -> Self {
        Self { origins: Arc::new(origins), ..self.clone() }
    }

    /// Returns the same context for a table with `replace = "anything"`.
    #[must_use]
    pub fn replacing_anything(&self) -> Self {
        Self { replaces_anything: true, ..self.clone() }
    }

    /// Returns the hosts that the user trusts in addition to the vendors' own.
    pub fn hosts(&self) -> &HostPolicy {
        &self.hosts
    }

    /// Returns where the table's `option` was given.
    pub fn origin(&self, option: &str) -> Origin {
        self.origins.get(option).copied().unwrap_or(Origin::ProjectFile)
    }

    /// Returns whether the table has `replace = "anything"`: then a value that was recognized as
    /// something other than a token may be overwritten (see [`StoredValue`](crate::StoredValue)).
    pub fn replaces_anything(&self) -> bool {
        self.replaces_anything
    }

    /// Returns the absolute path of the config file's directory.
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// Resolves `path` against the config file's directory to an absolute path without `.` and `..`.
    /// Does not access the file system.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        let mut resolved = PathBuf::new();
        for component in self.base_dir.join(path).components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    resolved.pop();
                }
                other => resolved.push(other),
            }
        }
        resolved
    }

    /// Returns the environment as it was when the program started.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the time limit of one request. Several requests must fit into the sink's deadline.
    pub fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    /// Returns one value (a client, a credential) for all sinks that use the same `key`. The key must
    /// contain everything that distinguishes two values: the kind, the host, the credential's source.
    ///
    /// # Panics
    ///
    /// When two callers use the same `key` for different types, which is a bug in a plugin.
    pub fn shared<T: Any + Send + Sync>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let value =
            Arc::clone(shared.entry(key.to_owned()).or_insert_with(|| Arc::new(make()) as Arc<_>));
        drop(shared);
        value.downcast().unwrap_or_else(|_| panic!("shared key {key:?} is used for two types"))
    }
}

impl fmt::Debug for BuildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildContext")
            .field("base_dir", &self.base_dir)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_against_the_config_file() {
        let context = BuildContext::new("/srv/app", Environment::default());
        assert_eq!(context.resolve(".env"), Path::new("/srv/app/.env"));
        assert_eq!(context.resolve("../x/./.env"), Path::new("/srv/x/.env"));
        assert_eq!(context.resolve("/etc/app.env"), Path::new("/etc/app.env"));
    }

    #[test]
    fn a_shared_value_is_created_once() {
        let context = BuildContext::new("/", Environment::default());
        let one = context.shared("client", || String::from("one"));
        let two = context.shared("client", || String::from("two"));
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn debug_output_of_the_environment_contains_no_values() {
        let variables = [("A".to_owned(), "secret".to_owned()), ("B".to_owned(), String::new())];
        let environment = Environment::from_iter(variables);
        assert_eq!(format!("{environment:?}"), r#"{"A", "B"}"#);
        assert!(environment.secret("B").is_none());
    }

    #[test]
    fn variables_are_trimmed() {
        for value in ["key\r", " key\n", "\u{feff}key"] {
            let environment = Environment::from_iter([("A".to_owned(), value.to_owned())]);
            assert_eq!(environment.setting("A"), Some("key"));
        }
        let environment = Environment::from_iter([("A".to_owned(), " \u{feff}\n".to_owned())]);
        assert_eq!(environment.setting("A"), None);
    }
}
