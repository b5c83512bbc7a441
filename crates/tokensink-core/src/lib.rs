//! The contract between tokensink and its plugins.
//!
//! A *sink* is a place that applications read the QStash token from: a dotenv file, a GitHub secret, an
//! AWS secret. A plugin crate describes one kind of sink:
//!
//! 1. [`SinkConfig`]: the options of a `[sinks.NAME]` table, and how it becomes sinks;
//! 2. [`TokenSink`]: prepares a write ([`prepare`](TokenSink::prepare)) and reads what the place holds
//!    ([`inspect`](TokenSink::inspect));
//! 3. [`TokenWriter`]: the write itself, one round trip away from done;
//! 4. one line, `inventory::submit! { SinkFactory::of::<MyConfig>() }`, which registers it.
//!
//! A program links the plugin by naming it once: `use my_plugin as _;`. A dependency that is only in
//! `Cargo.toml` is not linked, and so registers nothing. The same holds for a plugin inside a Rust
//! `staticlib`; programs and `cdylib`s work.
//!
//! # A whole plugin
//!
//! ```
#![doc = include_str!("../examples/file_sink.rs")]
//! ```
//!
//! # What is deliberately absent
//!
//! This crate knows no particular sink, no HTTP, no clock and no file system. [`TokenSink`] cannot
//! list, delete or roll back: a revoked token is nothing to roll back to. It has no default methods,
//! because what is convenient for a caller is easily wrong for an implementor.

mod context;
mod error;
mod input;
mod inspection;
mod issuer;
mod registry;
mod secret;
mod sink;
mod sink_info;
mod stored_value;

pub use async_trait::async_trait;
pub use inventory;
pub use schemars;
pub use serde;

pub use context::{BuildContext, Environment, HostPolicy, Origin};
pub use error::{IssuerError, ResetError, RetryPolicy, SinkError, SinkErrorKind};
pub use input::{PathProblem, path_problem, request_value_problem, trimmed};
pub use inspection::{Content, HeldValue, Inspection, NearbyValue, Survey};
pub use issuer::{Issued, TokenIssuer, TokenSource};
pub use registry::{OptionDescription, Registry, RegistryError, SinkFactory};
pub use secret::{Fingerprint, Redactor, Secret, Token};
pub use sink::{
    Preparation, Readiness, Receipt, SharedPlace, SinkConfig, TokenSink, TokenWriter, WriteEstimate,
};
pub use sink_info::{RateLimit, RateLimits, SinkInfo, TakesEffect, TargetId};
pub use stored_value::{StoredValue, has_token_form};
