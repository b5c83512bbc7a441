//! The process environment, read once. The rest of the program uses this snapshot.

use std::path::PathBuf;

use tokensink_core::Environment;

use crate::config::token_variables;

/// The variables with credentials that only this program reads. They are removed from the process
/// environment, because child processes inherit it, and an AWS profile may name any program.
const OWN_CREDENTIALS: [&str; 5] = [
    "UPSTASH_API_KEY",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

/// The end of the names of variables with the token itself. Each region has its own, such as
/// `US_EAST_1_QSTASH_TOKEN`.
const QSTASH_TOKEN: &str = "QSTASH_TOKEN";

/// Takes a snapshot of the environment with trimmed values. Removes this program's own credentials from
/// the process environment, including those in the variable `named` and in the variables of
/// `TOKENSINK_HOST_TOKENS`, and trims the variables that libraries read from it.
///
/// Call it once, before any thread is started.
pub(crate) fn take(named: Option<&str>) -> Environment {
    let environment = snapshot();
    let host_tokens = token_variables(&environment);
    let is_own = |name: &str| {
        OWN_CREDENTIALS.contains(&name)
            || name.ends_with(QSTASH_TOKEN)
            || Some(name) == named
            || host_tokens.iter().any(|variable| variable == name)
    };
    for name in environment.names() {
        if is_own(name) {
            set(name, None);
        } else if is_read_by_libraries(name) {
            set(name, environment.setting(name));
        }
    }
    environment
}

/// Returns whether the AWS SDK or an HTTP library reads the variable. Whitespace around these values is
/// never intended, and a blank value counts as unset.
fn is_read_by_libraries(name: &str) -> bool {
    name.starts_with("AWS_")
        || name.starts_with("SSL_CERT_")
        || name.to_ascii_uppercase().ends_with("_PROXY")
}

fn set(name: &str, value: Option<&str>) {
    // SAFETY: no other thread reads the environment meanwhile: `main`, which is documented to be called
    // before a thread is started, has not started one yet.
    #[expect(unsafe_code, reason = "child processes and libraries read the process environment")]
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

/// Returns the variables that are UTF-8. Others cannot contain a value that this program uses.
fn snapshot() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Returns the path of the user's config file, in the base directories of freedesktop.org. The file may
/// not exist.
pub(crate) fn user_config_file(environment: &Environment) -> Option<PathBuf> {
    Some(base_directory(environment, "XDG_CONFIG_HOME", ".config")?.join("tokensink/config.toml"))
}

/// Returns the default directory of the user's journal.
pub(crate) fn user_state_directory(environment: &Environment) -> Option<PathBuf> {
    Some(base_directory(environment, "XDG_STATE_HOME", ".local/state")?.join("tokensink"))
}

fn base_directory(environment: &Environment, variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = environment.setting(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| {
        let home = environment.setting("HOME").or_else(|| environment.setting("USERPROFILE"))?;
        Some(PathBuf::from(home).join(below_home))
    })
}
