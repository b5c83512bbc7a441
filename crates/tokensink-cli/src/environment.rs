//! The one look at the process environment. Everything else sees this snapshot.

use std::path::PathBuf;

use tokensink_core::Environment;

use crate::config::token_variables;

/// Our own credentials. Nobody reads them but us, and every child process would inherit them: an AWS
/// profile may name any program.
const OURS: [&str; 5] = [
    "UPSTASH_API_KEY",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

/// What we are here for. With several regions each has one of its own, such as
/// `US_EAST_1_QSTASH_TOKEN`.
const QSTASH_TOKEN: &str = "QSTASH_TOKEN";

/// The environment as it is now; afterwards our own credentials are in the snapshot alone, those in
/// the variable `named` and in the variables of `TOKENSINK_HOST_TOKENS` too. Called once, before there
/// is a second thread.
pub(crate) fn take(named: Option<&str>) -> Environment {
    let environment = snapshot();
    let of_hosts = token_variables(&environment);
    let is_ours = |name: &&str| {
        OURS.contains(name)
            || name.ends_with(QSTASH_TOKEN)
            || Some(*name) == named
            || of_hosts.iter().any(|variable| variable == name)
    };
    for name in environment.names().filter(is_ours) {
        // SAFETY: nobody else looks at the environment meanwhile, for there is nobody else: `main`,
        // which is documented to be called before any thread is started, has started none yet.
        #[expect(unsafe_code, reason = "children inherit what is not removed")]
        unsafe {
            std::env::remove_var(name);
        }
    }
    environment
}

/// A variable that is not UTF-8 cannot hold anything of ours.
fn snapshot() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where this user's config file would be (freedesktop.org's base directories).
pub(crate) fn user_config_file(environment: &Environment) -> Option<PathBuf> {
    Some(base_folder(environment, "XDG_CONFIG_HOME", ".config")?.join("tokensink/config.toml"))
}

/// Where this user's journal is kept unless told otherwise.
pub(crate) fn user_state_folder(environment: &Environment) -> Option<PathBuf> {
    Some(base_folder(environment, "XDG_STATE_HOME", ".local/state")?.join("tokensink"))
}

fn base_folder(environment: &Environment, variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = environment.setting(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| {
        let home = environment.setting("HOME").or_else(|| environment.setting("USERPROFILE"))?;
        Some(PathBuf::from(home).join(below_home))
    })
}
