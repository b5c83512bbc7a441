//! The hosts that the user trusts beside the vendors' own, and the credentials that belong to them:
//! from the user's own config file, from variables and from flags, never from a project's file.

use tokensink_core::{Environment, HostPolicy};
use tokensink_http::{AllowedHost, VariableName};
use toml::Value;

use super::layers::Layers;
use super::mistake::Mistake;
use super::source::Source;

/// Lists allowed hosts, separated by commas.
const ALLOW_HOSTS: &str = "TOKENSINK_ALLOW_HOSTS";

/// Names the variable of each host's credential, as `HOST=VARIABLE`, separated by commas.
pub(crate) const HOST_TOKENS: &str = "TOKENSINK_HOST_TOKENS";

/// The keys of the user's file that this module reads.
pub(super) const KEYS: [&str; 2] = ["allow_hosts", "hosts"];

/// What to do with these settings in a project's file.
const OUTSIDE: &str = "remove it; allow a host with --allow-host, TOKENSINK_ALLOW_HOSTS, or `allow_hosts` in \
                       your own config file";

/// Reads the policy from everywhere but the project's file.
///
/// # Errors
///
/// Everything that is not a host or a variable's name.
pub(super) fn policy(
    user: Option<&Source>,
    environment: &Environment,
    flags: &[AllowedHost],
) -> Result<HostPolicy, Vec<Mistake>> {
    let mut policy = HostPolicy::default();
    let mut mistakes = Vec::new();
    flags.iter().for_each(|host| host.add_to(&mut policy));
    for entry in entries(environment, ALLOW_HOSTS) {
        match entry.parse::<AllowedHost>() {
            Ok(host) => host.add_to(&mut policy),
            Err(error) => {
                mistakes.push(Mistake::in_variable(ALLOW_HOSTS, "", error.to_string()));
            }
        }
    }
    for entry in entries(environment, HOST_TOKENS) {
        match token_of(entry) {
            Ok((host, variable)) => drop(policy.token_variables.insert(host, variable)),
            Err(problem) => mistakes.push(Mistake::in_variable(HOST_TOKENS, "", problem)),
        }
    }
    if let Some(user) = user {
        mistakes.extend(read_file(user, &mut policy));
    }
    if mistakes.is_empty() { Ok(policy) } else { Err(mistakes) }
}

/// The errors of a project's file, or of a config variable, that would allow a host.
pub(super) fn misplaced(layers: &Layers) -> Vec<Mistake> {
    let misplaced = KEYS.iter().filter(|key| layers.is_named_outside_user_file(key));
    let mistakes = misplaced.map(|key| {
        layers
            .mistake(key, "a project must not choose the hosts that are trusted")
            .with_help(OUTSIDE)
    });
    mistakes.collect()
}

/// The names of the variables that hold credentials of hosts, as far as they can be read.
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

/// The settings of the user's file.
fn read_file(user: &Source, policy: &mut HostPolicy) -> Vec<Mistake> {
    let mistake = |place: &str, problem: &str| {
        Mistake::new(&user.file, place, problem)
            .at_line(user.line_near(place).map(|(line, _)| line))
    };
    let Ok(root) = user.text.parse::<toml::Table>() else { return Vec::new() };
    let mut mistakes = Vec::new();
    match root.get("allow_hosts") {
        None => {}
        Some(Value::Array(hosts)) => {
            for host in hosts {
                let parsed = host.as_str().map(str::parse::<AllowedHost>);
                match parsed {
                    Some(Ok(host)) => host.add_to(policy),
                    Some(Err(error)) => mistakes.push(mistake("allow_hosts", &error.to_string())),
                    None => mistakes.push(mistake("allow_hosts", "expected texts")),
                }
            }
        }
        Some(_) => mistakes.push(mistake("allow_hosts", "expected a list of hosts")),
    }
    match root.get("hosts") {
        None => {}
        Some(Value::Table(hosts)) => {
            for (host, table) in hosts {
                match token_in_table(host, table) {
                    Ok((host, variable)) => drop(policy.token_variables.insert(host, variable)),
                    Err(problem) => mistakes.push(mistake("hosts", &problem)),
                }
            }
        }
        Some(_) => mistakes.push(mistake("hosts", "expected tables such as [hosts.\"HOST\"]")),
    }
    mistakes
}

fn token_in_table(host: &str, table: &Value) -> Result<(String, String), String> {
    let parsed: AllowedHost = host.parse().map_err(|error| format!("{error}"))?;
    let expected = || format!("[hosts.\"{parsed}\"] has one option: token_env = \"VARIABLE\"");
    let table = table.as_table().filter(|table| table.len() == 1).ok_or_else(expected)?;
    let variable = table.get("token_env").and_then(Value::as_str).ok_or_else(expected)?;
    let variable = VariableName::parse(variable).map_err(|error| format!("{parsed}: {error}"))?;
    Ok((parsed.to_string(), variable.to_string()))
}
