//! The contract between tokensink and its plugins.
//!
//! A *sink* is a place that applications read the QStash token from: a dotenv file, a GitHub secret, an
//! AWS secret. A plugin crate describes one kind of sink:
//!
//! 1. [`SinkConfig`] has the options of a `[sinks.NAME]` table and builds the sinks;
//! 2. [`TokenSink`] prepares a write ([`prepare`](TokenSink::prepare)) and reads the current content of
//!    the target ([`inspect`](TokenSink::inspect));
//! 3. [`TokenWriter`] writes the token, with one request where the provider allows it;
//! 4. one line, `inventory::submit! { SinkFactory::of::<MyConfig>() }`, registers the kind.
//!
//! A program links the plugin by naming it once: `use my_plugin as _;`. A dependency that is only in
//! `Cargo.toml` is not linked and therefore registers nothing. Registration works in programs and
//! `cdylib`s, but not in a Rust `staticlib`.
//!
//! # A complete plugin
//!
//! ```
#![doc = include_str!("../examples/file_sink.rs")]
//! ```
//!
//! # Out of scope
//!
//! This crate has no dependency on a particular sink, HTTP, a clock or the file system. [`TokenSink`]
//! has no methods to list, delete or roll back: a rollback would restore a revoked token. It has no
//! default methods either, because a default that is convenient for callers is easily wrong for an
//! implementation.

#![warn(missing_docs)]

mod context;
mod error;
mod input;
mod inspection;
mod issuer;
mod registry;
mod schema;
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
