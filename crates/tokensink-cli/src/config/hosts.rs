//! The hosts that the user trusts in addition to the vendors' own, and the credentials for them. They
//! come from the user's own config file, from variables and from flags, never from a project's file: a
//! cloned repository must not choose where credentials go.

use tokensink_core::{Environment, HostPolicy};
use tokensink_http::{AllowedHost, VariableName};
use toml::Value;

use super::config_error::ConfigError;
use super::layers::Layers;
use super::source::Source;

/// The variable with the allowed hosts, separated by commas.
const ALLOW_HOSTS: &str = "TOKENSINK_ALLOW_HOSTS";

/// The variable that names the variable with each host's credential: `HOST=VARIABLE`, separated by
/// commas.
pub(crate) const HOST_TOKENS: &str = "TOKENSINK_HOST_TOKENS";

/// The keys of the user's file that this module reads.
pub(super) const KEYS: [&str; 2] = ["allow_hosts", "hosts"];

/// The help for these settings in a project's file.
const MISPLACED_HELP: &str = "remove it; allow a host with --allow-host, TOKENSINK_ALLOW_HOSTS, or `allow_hosts` in \
                       your own config file";

/// Reads the policy from the user's file, the environment and the flags.
///
/// # Errors
///
/// One for each value that is not a host or the name of a variable.
pub(super) fn policy(
    user: Option<&Source>,
    environment: &Environment,
    flags: &[AllowedHost],
) -> Result<HostPolicy, Vec<ConfigError>> {
    let mut policy = HostPolicy::default();
    let mut errors = Vec::new();
    flags.iter().for_each(|host| host.add_to(&mut policy));
    for entry in entries(environment, ALLOW_HOSTS) {
        match entry.parse::<AllowedHost>() {
            Ok(host) => host.add_to(&mut policy),
            Err(error) => {
                errors.push(ConfigError::in_variable(ALLOW_HOSTS, "", error.to_string()));
            }
        }
    }
    for entry in entries(environment, HOST_TOKENS) {
        match token_of(entry) {
            Ok((host, variable)) => drop(policy.token_variables.insert(host, variable)),
            Err(problem) => errors.push(ConfigError::in_variable(HOST_TOKENS, "", problem)),
        }
    }
    if let Some(user) = user {
        errors.extend(read_file(user, &mut policy));
    }
    if errors.is_empty() { Ok(policy) } else { Err(errors) }
}

/// Returns an error for each of these keys that the project's file, or a variable that sets config keys,
/// contains.
pub(super) fn misplaced(layers: &Layers) -> Vec<ConfigError> {
    let misplaced = KEYS.iter().filter(|key| layers.is_named_outside_user_file(key));
    let errors = misplaced.map(|key| {
        layers
            .error_at(key, "a project must not choose the hosts that are trusted")
            .with_help(MISPLACED_HELP)
    });
    errors.collect()
}

/// Returns the names of the variables that contain credentials for hosts. Invalid entries are skipped:
/// [`policy`] reports them.
pub(crate) fn token_variables(environment: &Environment) -> Vec<String> {
    let tokens = entries(environment, HOST_TOKENS).filter_map(|entry| token_of(entry).ok());
    tokens.map(|(_, variable)| variable).collect()
}

fn entries<'a>(environment: &'a Environment, name: &str) -> impl Iterator<Item = &'a str> {
    let text = environment.setting(name).unwrap_or_default();
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn token_of(entry: &str) -> Result<(String, String), String> {
    let (host, variable) =
        entry.split_once('=').ok_or("expected HOST=VARIABLE, separated by commas")?;
    let host: AllowedHost = host.trim().parse().map_err(|error| format!("{error}"))?;
    let variable =
        VariableName::parse(variable.trim()).map_err(|error| format!("{host}: {error}"))?;
    Ok((host.to_string(), variable.to_string()))
}

/// Adds the settings of the user's file to `policy`, and returns its errors.
fn read_file(user: &Source, policy: &mut HostPolicy) -> Vec<ConfigError> {
    let error_at = |place: &str, problem: &str| {
        ConfigError::new(&user.file, place, problem)
            .at_line(user.line_near(place).map(|(line, _)| line))
    };
    let Ok(root) = user.text.parse::<toml::Table>() else { return Vec::new() };
    let mut errors = Vec::new();
    match root.get("allow_hosts") {
        None => {}
        Some(Value::Array(hosts)) => {
            for host in hosts {
                let parsed = host.as_str().map(str::parse::<AllowedHost>);
                match parsed {
                    Some(Ok(host)) => host.add_to(policy),
                    Some(Err(error)) => errors.push(error_at("allow_hosts", &error.to_string())),
                    None => errors.push(error_at("allow_hosts", "expected strings")),
                }
            }
        }
        Some(_) => errors.push(error_at("allow_hosts", "expected a list of hosts")),
    }
    match root.get("hosts") {
        None => {}
        Some(Value::Table(hosts)) => {
            for (host, table) in hosts {
                match token_in_table(host, table) {
                    Ok((host, variable)) => drop(policy.token_variables.insert(host, variable)),
                    Err(problem) => errors.push(error_at("hosts", &problem)),
                }
            }
        }
        Some(_) => errors.push(error_at("hosts", "expected tables such as [hosts.\"HOST\"]")),
    }
    errors
}

fn token_in_table(host: &str, table: &Value) -> Result<(String, String), String> {
    let parsed: AllowedHost = host.parse().map_err(|error| format!("{error}"))?;
    let expected = || format!("[hosts.\"{parsed}\"] has one option: token_env = \"VARIABLE\"");
    let table = table.as_table().filter(|table| table.len() == 1).ok_or_else(expected)?;
    let variable = table.get("token_env").and_then(Value::as_str).ok_or_else(expected)?;
    let variable = VariableName::parse(variable).map_err(|error| format!("{parsed}: {error}"))?;
    Ok((parsed.to_string(), variable.to_string()))
}
