//! The `dotenv` sink: keeps the token in `.env` files, and every other byte as it was.
//!
//! `scan` finds the value of a key, `edit` makes the new bytes, `file` puts them in place and `directory`
//! commits the writes of one directory together. What a
//! `.env` file means differs from reader to reader (`dialect`); what is written here reads the same
//! in all.

mod attributes;
mod config;
mod dialect;
mod directory;
mod edit;
mod file;
mod managed;
mod obstacles;
mod scan;
mod siblings;
mod sink;
mod tracked;

use tokensink_core::{SinkFactory, inventory};

pub use config::DotenvConfig;
pub use sink::DotenvSink;

inventory::submit! { SinkFactory::of::<DotenvConfig>() }

/// For the fuzzer: panics where an edit changes anything but values.
#[cfg(fuzzing)]
pub fn assert_only_values_change(bytes: &[u8]) {
    edit::assert_only_values_change(bytes);
}
