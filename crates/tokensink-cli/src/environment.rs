//! The one look at the process environment. Everything else sees this snapshot.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use tokensink_core::Environment;

/// The environment as it is now. A variable that is not UTF-8 cannot hold anything of ours.
pub(crate) fn snapshot() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where this user's config file is, if there is one.
pub(crate) fn user_config_file() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.config_dir().join("tokensink/config.toml"))
}

/// Where this user's journal is kept unless told otherwise.
pub(crate) fn user_state_folder() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("tokensink"))
}
