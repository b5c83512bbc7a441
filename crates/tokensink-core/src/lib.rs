//! The contract between tokensink and its plugins.
//!
//! A *sink* is a place from which applications read the QStash token: a dotenv file, a GitHub
//! secret, an AWS secret. A plugin crate describes one kind of sink:
//!
//! 1. [`SinkConfig`]: what a `[sinks.NAME]` table may hold, and how it becomes sinks;
//! 2. [`TokenSink`]: how to get ready for a write ([`prepare`](TokenSink::prepare)) and how to see
//!    what the place holds ([`inspect`](TokenSink::inspect));
//! 3. [`PreparedSink`]: the write itself, one round trip away from done;
//! 4. one line, `inventory::submit! { SinkFactory::of::<MyConfig>() }`, which registers it.
//!
//! A program links the plugin by naming it once: `use my_plugin as _;`. A dependency that stands
//! in `Cargo.toml` only is not linked, and so registers nothing. The same holds for a plugin inside
//! a Rust `staticlib`; programs and `cdylib`s are fine.
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
//! list, delete or roll back: the old token is dead, so there is nothing to roll back to. It has no
//! default methods, because what is convenient for a caller is easily wrong for an implementor.

mod context;
mod error;
mod issuer;
mod registry;
mod secret;
mod sink;

pub use async_trait::async_trait;
pub use inventory;
pub use schemars;
pub use serde;

pub use context::{BuildContext, Environment};
pub use error::{IssuerError, ResetError, SinkError, SinkErrorKind};
pub use issuer::{Issued, TokenIssuer};
pub use registry::{
    COMMON_OPTIONS, OptionDescription, Registry, RegistryError, SinkFactory, nearest,
};
pub use secret::{Fingerprint, Redactor, Secret, Token};
pub use sink::{
    Holds, Pace, PreparedSink, Quota, Readiness, Receipt, SinkConfig, TakesEffect, TargetId,
    TokenSink, WriteCost,
};
