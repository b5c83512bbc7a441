//! The process environment, read once. Everything else gets this snapshot.

use std::path::PathBuf;

use tokensink_core::Environment;

use crate::config::token_variables;

/// Our own credentials. Only this program reads them, and every child process would inherit them: an
/// AWS profile may name any program.
const OURS: [&str; 5] = [
    "UPSTASH_API_KEY",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

/// The token to replace. With several regions each has its own variable, such as
/// `US_EAST_1_QSTASH_TOKEN`.
const QSTASH_TOKEN: &str = "QSTASH_TOKEN";

/// Takes the environment of this process, with values trimmed. Afterwards our own credentials are in
/// the snapshot alone, those in the variable `named` and in the variables of `TOKENSINK_HOST_TOKENS`
/// too, and the libraries that read the process environment themselves see trimmed values as well.
/// Called once, before a thread is started.
pub(crate) fn take(named: Option<&str>) -> Environment {
    let environment = snapshot();
    let of_hosts = token_variables(&environment);
    let is_ours = |name: &str| {
        OURS.contains(&name)
            || name.ends_with(QSTASH_TOKEN)
            || Some(name) == named
            || of_hosts.iter().any(|variable| variable == name)
    };
    for name in environment.names() {
        if is_ours(name) {
            set(name, None);
        } else if is_read_by_libraries(name) {
            set(name, environment.setting(name));
        }
    }
    environment
}

/// The AWS SDK and the HTTP libraries read the process environment. In none of these is a blank around
/// the value meant; a blank value counts as unset.
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

/// A variable that is not UTF-8 cannot hold a value of ours.
fn snapshot() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where this user's config file would be (freedesktop.org's base directories).
pub(crate) fn user_config_file(environment: &Environment) -> Option<PathBuf> {
    Some(base_directory(environment, "XDG_CONFIG_HOME", ".config")?.join("tokensink/config.toml"))
}

/// Where this user's journal is kept by default.
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
