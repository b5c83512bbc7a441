//! What building a sink may know about the world, so that it need not look.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Secret;

/// A snapshot of the process environment. Values are secrets until proven otherwise.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, Secret>>);

impl Environment {
    /// The credential in variable `name`; `None` where it is unset, empty or blank.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|secret| !secret.expose().trim().is_empty())
    }

    /// The plain setting in variable `name` (a path, a host); `None` where it is unset or empty.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.secret(name).map(Secret::expose)
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name, Secret::new(value)));
        Self(Arc::new(variables.collect()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

type Shared = BTreeMap<String, Arc<dyn Any + Send + Sync>>;

/// Handed to [`SinkConfig::build`](crate::SinkConfig::build): all that a sink may know about the
/// process it lives in.
#[derive(Clone)]
pub struct BuildContext {
    base_dir: PathBuf,
    environment: Environment,
    attempt_timeout: Duration,
    shared: Arc<Mutex<Shared>>,
}

impl BuildContext {
    /// `base_dir`: the folder of the config file, absolute.
    pub fn new(base_dir: impl Into<PathBuf>, environment: Environment) -> Self {
        Self {
            base_dir: base_dir.into(),
            environment,
            attempt_timeout: Duration::from_millis(7500),
            shared: Arc::default(),
        }
    }

    /// The same context, with shared things kept shared, for a table with a timeout of its own.
    #[must_use]
    pub fn with_attempt_timeout(&self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self.clone() }
    }

    /// `path` seen from the config file's folder: absolute, without `.` and `..`, and without
    /// looking at the disk.
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

    /// The environment, as it was when the program started.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// How long one request may take: several must fit into the sink's deadline.
    pub fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    /// One thing (a client, a credential) for all sinks that name the same `key`, without globals.
    /// Put into `key` what tells two of them apart: the kind, the host, the credential's source.
    ///
    /// # Panics
    ///
    /// When two callers use one `key` for two types: a mistake in a plugin.
    pub fn shared<T: Any + Send + Sync>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let thing =
            Arc::clone(shared.entry(key.to_owned()).or_insert_with(|| Arc::new(make()) as Arc<_>));
        drop(shared);
        thing.downcast().unwrap_or_else(|_| panic!("shared key {key:?} is used for two types"))
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
    fn paths_are_seen_from_the_config_file() {
        let context = BuildContext::new("/srv/app", Environment::default());
        assert_eq!(context.resolve(".env"), Path::new("/srv/app/.env"));
        assert_eq!(context.resolve("../x/./.env"), Path::new("/srv/x/.env"));
        assert_eq!(context.resolve("/etc/app.env"), Path::new("/etc/app.env"));
    }

    #[test]
    fn what_is_shared_is_made_once() {
        let context = BuildContext::new("/", Environment::default());
        let one = context.shared("client", || String::from("one"));
        let two = context.shared("client", || String::from("two"));
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn the_environment_shows_names_only() {
        let variables = [("A".to_owned(), "secret".to_owned()), ("B".to_owned(), String::new())];
        let environment = Environment::from_iter(variables);
        assert_eq!(format!("{environment:?}"), r#"{"A", "B"}"#);
        assert!(environment.secret("B").is_none());
    }
}
