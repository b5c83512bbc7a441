//! The config: layered from the user's file, the project's file and `TOKENSINK_*__*` variables, and
//! read so that all mistakes are reported together.

mod duration;
mod hosts;
mod layers;
mod mistake;
mod secret_shape;
mod sinks;
mod source;
mod upstash;

use std::path::Path;

use serde_json::{Map, Value};
use tokensink_core::{BuildContext, Environment, HostPolicy, Registry};
use tokensink_http::AllowedHost;

pub(crate) use duration::duration_from_flag;
pub(crate) use hosts::token_variables;
pub(crate) use layers::Layers;
pub(crate) use mistake::{Invalid, Mistake};
pub(crate) use sinks::{COMMON_OPTIONS, Selected, linked, select};
pub(crate) use upstash::UpstashTable;

use self::source::Source;
use crate::suggestion::nearest;

const TABLES: [&str; 2] = ["upstash", "sinks"];

/// A config without mistakes in `[upstash]`; sinks are built by [`select`].
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) upstash: UpstashTable,
    pub(crate) sinks: Map<String, Value>,
    pub(crate) layers: Layers,
    /// The hosts that the user trusts beside the vendors' own.
    pub(crate) hosts: HostPolicy,
}

/// Reads and merges all layers.
pub(crate) async fn load(
    project: &Path,
    user: Option<&Path>,
    environment: &Environment,
    allowed_hosts: &[AllowedHost],
) -> Result<Settings, Vec<Mistake>> {
    let project =
        Source::read(project).await.map_err(|mistake| vec![mistake])?.ok_or_else(|| {
            let missing = Mistake::new(project, "", "there is no such file");
            vec![missing.with_help(
                "`tokensink init` writes one to start from, or name yours with --config",
            )]
        })?;
    let user = match user {
        Some(user) => Source::read(user).await.map_err(|mistake| vec![mistake])?,
        None => None,
    };
    read(Layers::new(project, user, environment), environment, allowed_hosts)
}

/// Loads `bytes` as a config, and builds its sinks. For the fuzzer: it must not panic.
#[cfg(fuzzing)]
pub fn load_bytes(bytes: &[u8]) {
    let Ok(project) = Source::parse(Path::new("tokensink.toml"), bytes.to_vec()) else { return };
    let environment = Environment::default();
    let layers = Layers::new(project, None, &environment);
    let Ok(settings) = read(layers, &environment, &[]) else { return };
    let registry = Registry::linked().expect("the plugins fit together");
    let context = BuildContext::new("/", environment);
    let _ = select(&settings, &Default::default(), &registry, &context);
}

/// Returns the hosts that `bytes`, as a project's config file, gets a credential or the token sent to,
/// as `HOST` or `HOST:PORT`, beside the public ones of the sinks' vendors. Outside the file only
/// `allowed` is allowed. For the fuzzer.
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
    let Ok(settings) = read(layers, &environment, &[allowed]) else { return Vec::new() };
    let registry = Registry::linked().expect("the plugins fit together");
    let context = BuildContext::new("/", environment).with_hosts(settings.hosts.clone());
    let Ok(Selected { sinks, .. }) = select(&settings, &Default::default(), &registry, &context)
    else {
        return Vec::new();
    };
    let issuer = [Some(&settings.upstash.api_url), settings.upstash.qstash_url.as_ref()];
    let issuer = issuer.into_iter().flatten().map(shown_host);
    issuer.chain(sinks.iter().filter_map(|sink| sink.info.host.clone())).collect()
}

fn read(
    layers: Layers,
    environment: &Environment,
    allowed_hosts: &[AllowedHost],
) -> Result<Settings, Vec<Mistake>> {
    let mut merged = layers.merged().map_err(|mistake| vec![mistake])?;
    let secrets = secret_shape::withhold(&mut merged, "");
    let Value::Object(mut root) = merged else {
        return Err(vec![layers.mistake("", "expected tables")]);
    };
    if root.is_empty() {
        let empty = layers.mistake("", "the file is empty");
        return Err(vec![empty.with_help("`tokensink init` writes one to start from")]);
    }
    let mut mistakes = hosts::misplaced(&layers);
    hosts::KEYS.iter().for_each(|key| drop(root.remove(*key)));
    let hosts = match hosts::policy(layers.user(), environment, allowed_hosts) {
        Ok(hosts) => hosts,
        Err(more) => {
            mistakes.extend(more);
            return Err(mistakes);
        }
    };
    mistakes.extend(unknown_tables(&root, &layers));
    for place in secrets {
        let mistake = layers.mistake(&place, "this looks like a secret");
        mistakes.push(mistake.with_help(
            "no secret stands in a config: name an environment variable, and reset this one",
        ));
    }
    let upstash = table(&mut root, "upstash", &layers, &mut mistakes);
    let sinks = table(&mut root, "sinks", &layers, &mut mistakes);
    mistakes.extend(layers.misplaced_sinks());
    if sinks.as_ref().is_some_and(Map::is_empty) {
        let none = layers.mistake("sinks", "there is no sink");
        mistakes.push(none.with_help("add a table such as [sinks.local]; see `tokensink sinks`"));
    }
    let (upstash, sinks) = (upstash.unwrap_or_default(), sinks.unwrap_or_default());
    match upstash::read(&upstash, &layers, &hosts) {
        Ok(upstash) if mistakes.is_empty() => {
            return Ok(Settings { upstash, sinks, layers, hosts });
        }
        Ok(_) => {}
        Err(more) => mistakes.extend(more),
    }
    mistakes.extend(sink_mistakes(&sinks, &layers, environment, &hosts));
    Err(mistakes)
}

/// A file with a mistake elsewhere is still read to its end.
fn sink_mistakes(
    tables: &Map<String, Value>,
    layers: &Layers,
    environment: &Environment,
    hosts: &HostPolicy,
) -> Vec<Mistake> {
    let (Ok(registry), Ok(base_dir)) = (Registry::linked(), layers.base_dir()) else {
        return Vec::new();
    };
    let context = BuildContext::new(base_dir, environment.clone()).with_hosts(hosts.clone());
    sinks::build_all(tables, layers, &registry, &context).err().unwrap_or_default()
}

fn unknown_tables(root: &Map<String, Value>, layers: &Layers) -> Vec<Mistake> {
    let unknown = root.keys().filter(|key| !TABLES.contains(&key.as_str()));
    let mistakes = unknown.map(|key| {
        let mistake = layers.mistake(key, "unknown table");
        match nearest(key, TABLES) {
            Some(meant) => mistake.with_help(format!("did you mean [{meant}]?")),
            None => mistake.with_help("there are [upstash] and [sinks.NAME]"),
        }
    });
    mistakes.collect()
}

/// The table of this name; `None`, and a mistake, where it is something else.
fn table(
    root: &mut Map<String, Value>,
    name: &str,
    layers: &Layers,
    mistakes: &mut Vec<Mistake>,
) -> Option<Map<String, Value>> {
    match root.remove(name) {
        Some(Value::Object(table)) => Some(table),
        Some(_) => {
            mistakes.push(layers.mistake(name, "expected a table"));
            None
        }
        None => Some(Map::new()),
    }
}

#[cfg(all(test, feature = "dotenv"))]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Scripts rely on them.
    #[test]
    fn what_is_not_said_has_its_default() {
        let text = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n";
        let project = Source::parse(Path::new("tokensink.toml"), text.into()).unwrap();
        let environment = Environment::default();
        let settings = read(Layers::new(project, None, &environment), &environment, &[]).unwrap();
        assert_eq!(settings.upstash.timeout, Duration::from_secs(15));
        assert_eq!(settings.upstash.settle, Duration::from_secs(5));
        assert_eq!(settings.upstash.api_url.as_str(), "https://api.upstash.com/v2/");
        let context = BuildContext::new("/", environment);
        let registry = Registry::linked().unwrap();
        let Selected { sinks, .. } =
            select(&settings, &Default::default(), &registry, &context).unwrap();
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
