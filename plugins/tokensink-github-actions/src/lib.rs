//! The `github-actions` sink: writes the token to secrets of repositories, environments and
//! organizations, for Actions, Dependabot and Codespaces.
//!
//! A secret's value cannot be read back. A write is proven by GitHub's time of the last change. A secret
//! is overwritten and never deleted, so there is no moment without one.

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
