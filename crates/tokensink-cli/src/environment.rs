//! The one look at the process environment. Everything else sees this snapshot.

use std::path::PathBuf;

use tokensink_core::Environment;

/// The environment as it is now. A variable that is not UTF-8 cannot hold anything of ours.
pub(crate) fn snapshot() -> Environment {
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
