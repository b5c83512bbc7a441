//! The `github-actions` sink: keeps the token in secrets of repositories, environments and
//! organizations, for Actions, Dependabot and Codespaces.
//!
//! A secret's value cannot be read back; what proves a write is that GitHub's record of the last
//! change is ours. Secrets are only ever put, never deleted: there is no moment without one.

mod api;
mod config;
mod credential;
mod evidence;
mod failure;
mod listing;
mod organization;
mod repository;
mod sealing;
mod secret_names;
mod sink;
mod survey;
mod target;
mod writer;

use tokensink_core::{SinkFactory, inventory};

pub use config::GitHubActionsConfig;
pub use sink::GitHubSink;

inventory::submit! { SinkFactory::of::<GitHubActionsConfig>() }
