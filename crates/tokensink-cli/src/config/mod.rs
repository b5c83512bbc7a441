//! The config, from the user's file, the project's file and `TOKENSINK_*__*` variables. All errors are
//! collected, so that a user can fix them in one pass.

mod config_error;
mod duration;
mod hosts;
mod layers;
mod secret_shape;
mod sinks;
mod source;
mod upstash;

use std::path::Path;

use serde_json::{Map, Value};
use tokensink_core::{BuildContext, Environment, HostPolicy, Registry};
use tokensink_http::AllowedHost;

pub(crate) use config_error::{ConfigError, InvalidInput};
pub(crate) use duration::parse_duration_flag;
pub(crate) use hosts::token_variables;
pub(crate) use layers::Layers;
pub(crate) use sinks::{COMMON_OPTIONS, CommonOption, Selected, list_kinds, select};
pub(crate) use upstash::UpstashTable;

use self::layers::configures_sink;
use self::source::Source;
use crate::args::DEFAULT_CONFIG;
use crate::bounded_io::{self, FILE_TIMEOUT};
use crate::suggestion::nearest;

const TABLES: [&str; 2] = ["upstash", "sinks"];

/// A config whose `[upstash]` table is valid. [`select`] builds the sinks.
#[derive(Debug)]
pub(crate) struct LoadedConfig {
    pub(crate) upstash: UpstashTable,
    pub(crate) sinks: Map<String, Value>,
    pub(crate) layers: Layers,
    /// The hosts that the user trusts in addition to the vendors' own.
    pub(crate) hosts: HostPolicy,
}

/// Reads and merges all layers. Without a project's file, the environment may configure the sinks.
///
/// # Errors
///
/// All errors of the config, but not those of its sinks: [`select`] returns them.
pub(crate) async fn load(
    project: &Path,
    user: Option<&Path>,
    environment: &Environment,
    allowed_hosts: &[AllowedHost],
) -> Result<LoadedConfig, Vec<ConfigError>> {
    let project = match Source::read(project).await.map_err(|error| vec![error])? {
        Some(source) => source,
        // Only the default file is optional: one that the user names must exist.
        None if project == Path::new(DEFAULT_CONFIG) && configures_sink(environment) => {
            Source::parse(project, Vec::new()).map_err(|error| vec![error])?
        }
        None => return Err(vec![missing_file(project).await]),
    };
    let user = match user {
        Some(user) => Source::read(user).await.map_err(|error| vec![error])?,
        None => None,
    };
    read(Layers::new(project, user, environment), environment, allowed_hosts)
}

/// Creates the error for a project's file that does not exist. A user may have run the command in a
/// subdirectory of the project.
async fn missing_file(file: &Path) -> ConfigError {
    let name = file.to_owned();
    let find = move || {
        let directory = std::env::current_dir()?;
        let parents = directory.ancestors().skip(1).map(|parent| parent.join(&name));
        Ok(parents.into_iter().find(|candidate| candidate.is_file()))
    };
    let parent_file = if file.is_relative() {
        bounded_io::within(FILE_TIMEOUT, find).await.unwrap_or_default()
    } else {
        None
    };
    let missing = ConfigError::new(file, "", "no such file");
    missing.with_help(match parent_file {
        Some(found) => {
            format!("use the one in a parent directory with --config {}", found.display())
        }
        None => "`tokensink init` writes one to start from, or name yours with --config".to_owned(),
    })
}

/// Loads `bytes` as a config and builds its sinks, for the fuzzer: it must not panic.
#[cfg(fuzzing)]
pub fn load_bytes(bytes: &[u8]) {
    let Ok(project) = Source::parse(Path::new("tokensink.toml"), bytes.to_vec()) else { return };
    let environment = Environment::default();
    let layers = Layers::new(project, None, &environment);
    let Ok(config) = read(layers, &environment, &[]) else { return };
    let registry = Registry::linked().expect("each kind is linked once");
    let context = BuildContext::new("/", environment);
    let _ = select(&config, &Default::default(), &registry, &context);
}

/// Returns the hosts, as `HOST` or `HOST:PORT`, that a credential or the token is sent to if `bytes` is
/// the project's config file. The public hosts of the sinks' vendors are not among them. The user
/// allows one host, `allowed`. For the fuzzer.
#[cfg(any(fuzzing, test))]
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "only the fuzzer sees it"))]
pub fn hosts_of_project(bytes: &[u8], allowed: &str) -> Vec<String> {
    use tokensink_http::shown_host;

    let Ok(project) = Source::parse(Path::new("tokensink.toml"), bytes.to_vec()) else {
        return Vec::new();
    };
    let environment = Environment::default();
    let allowed: AllowedHost = allowed.parse().expect("a host");
    let layers = Layers::new(project, None, &environment);
    let Ok(config) = read(layers, &environment, &[allowed]) else { return Vec::new() };
    let registry = Registry::linked().expect("each kind is linked once");
    let context = BuildContext::new("/", environment).with_hosts(config.hosts.clone());
    let Ok(Selected { sinks, .. }) = select(&config, &Default::default(), &registry, &context)
    else {
        return Vec::new();
    };
    let issuer = [Some(&config.upstash.api_url), config.upstash.qstash_url.as_ref()];
    let issuer = issuer.into_iter().flatten().map(shown_host);
    issuer.chain(sinks.iter().filter_map(|sink| sink.info.host.clone())).collect()
}

fn read(
    layers: Layers,
    environment: &Environment,
    allowed_hosts: &[AllowedHost],
) -> Result<LoadedConfig, Vec<ConfigError>> {
    let mut merged = layers.merged().map_err(|error| vec![error])?;
    // First, so that no later error can quote a secret.
    let secrets = secret_shape::redact(&mut merged, "");
    let Value::Object(mut root) = merged else {
        return Err(vec![layers.error_at("", "expected tables")]);
    };
    if root.is_empty() {
        let empty = layers.error_at("", "the file is empty");
        return Err(vec![empty.with_help("`tokensink init` writes one to start from")]);
    }
    let mut errors = hosts::misplaced(&layers);
    hosts::KEYS.iter().for_each(|key| drop(root.remove(*key)));
    let hosts = match hosts::policy(layers.user(), environment, allowed_hosts) {
        Ok(hosts) => hosts,
        Err(more) => {
            errors.extend(more);
            return Err(errors);
        }
    };
    errors.extend(unknown_tables(&root, &layers));
    for place in secrets {
        let error = layers.error_at(&place, "this looks like a secret");
        errors.push(error.with_help(
            "a config must not contain secrets: name an environment variable instead, and replace \
             this secret",
        ));
    }
    let upstash = table(&mut root, "upstash", &layers, &mut errors);
    let sinks = table(&mut root, "sinks", &layers, &mut errors);
    errors.extend(layers.misplaced_sinks());
    if sinks.as_ref().is_some_and(Map::is_empty) {
        let none = layers.error_at("sinks", "there are no sinks");
        errors.push(none.with_help("add a table such as [sinks.local]; see `tokensink sinks`"));
    }
    let (upstash, sinks) = (upstash.unwrap_or_default(), sinks.unwrap_or_default());
    match upstash::read(&upstash, &layers, &hosts) {
        Ok(upstash) if errors.is_empty() => {
            return Ok(LoadedConfig { upstash, sinks, layers, hosts });
        }
        Ok(_) => {}
        Err(more) => errors.extend(more),
    }
    errors.extend(sink_errors(&sinks, &layers, environment, &hosts));
    Err(errors)
}

/// Returns the errors of the sink tables, for a config that has errors elsewhere.
fn sink_errors(
    tables: &Map<String, Value>,
    layers: &Layers,
    environment: &Environment,
    hosts: &HostPolicy,
) -> Vec<ConfigError> {
    let (Ok(registry), Ok(base_dir)) = (Registry::linked(), layers.base_dir()) else {
        return Vec::new();
    };
    let context = BuildContext::new(base_dir, environment.clone()).with_hosts(hosts.clone());
    sinks::build_all(tables, layers, &registry, &context).err().unwrap_or_default()
}

fn unknown_tables(root: &Map<String, Value>, layers: &Layers) -> Vec<ConfigError> {
    let unknown = root.keys().filter(|key| !TABLES.contains(&key.as_str()));
    let errors = unknown.map(|key| {
        let error = layers.error_at(key, "unknown table");
        match nearest(key, TABLES) {
            Some(similar) => error.with_help(format!("did you mean [{similar}]?")),
            None => error.with_help("the tables are [upstash] and [sinks.NAME]"),
        }
    });
    errors.collect()
}

/// Removes the table `name` from `root`. Returns `None`, and adds an error, if it is not a table.
fn table(
    root: &mut Map<String, Value>,
    name: &str,
    layers: &Layers,
    errors: &mut Vec<ConfigError>,
) -> Option<Map<String, Value>> {
    match root.remove(name) {
        Some(Value::Object(table)) => Some(table),
        Some(_) => {
            errors.push(layers.error_at(name, "expected a table"));
            None
        }
        None => Some(Map::new()),
    }
}

#[cfg(all(test, feature = "dotenv"))]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Scripts rely on these values.
    #[test]
    fn omitted_options_have_their_documented_defaults() {
        let text = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n";
        let project = Source::parse(Path::new("tokensink.toml"), text.into()).unwrap();
        let environment = Environment::default();
        let config = read(Layers::new(project, None, &environment), &environment, &[]).unwrap();
        assert_eq!(config.upstash.timeout, Duration::from_secs(15));
        assert_eq!(config.upstash.settle, Duration::from_secs(5));
        assert_eq!(config.upstash.api_url.as_str(), "https://api.upstash.com/v2/");
        let context = BuildContext::new("/", environment);
        let registry = Registry::linked().unwrap();
        let Selected { sinks, .. } =
            select(&config, &Default::default(), &registry, &context).unwrap();
        assert_eq!(sinks[0].deadline, Duration::from_secs(60));
        assert_eq!((sinks[0].required, sinks[0].priority), (true, 0));
    }

    #[test]
    fn a_project_file_names_only_hosts_of_vendors_and_allowed_ones() {
        let local = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n";
        for (text, hosts) in [
            ("", &["api.upstash.com"][..]),
            ("api_url = \"http://127.0.0.1:4000\"\n", &["127.0.0.1:4000"]),
            (
                "qstash_url = \"https://qstash.upstash.io\"\n",
                &["api.upstash.com", "qstash.upstash.io"],
            ),
            ("api_url = \"http://127.0.0.1:4001\"\n", &[]),
            ("api_url = \"https://evil.example\"\n", &[]),
        ] {
            let file = format!("[upstash]\n{text}{local}");
            assert_eq!(hosts_of_project(file.as_bytes(), "127.0.0.1:4000"), hosts, "{file}");
        }
    }
}
