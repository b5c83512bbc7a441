//! The laws that every sink obeys, and doubles for tests of the coordinator.
//!
//! A plugin's tests describe one place that its sink writes to ([`Target`]) and call
//! [`obeys_the_laws`]. Everything the sink does is then seen from outside, at that place:
//!
//! ```no_run
//! # use tokensink_testkit::{Target, Violation, obeys_the_laws};
//! # async fn law_abiding(target: &dyn Target) -> Result<(), Vec<Violation>> {
//! obeys_the_laws(target).await
//! # }
//! ```
//!
//! The doubles are a [`World`] in memory: an issuer and sinks that do what a [`Script`] says of
//! every call, and a memory of all that ever happened.
//!
//! Deliberately absent: anything about a particular provider. Stand-ins that speak HTTP live in
//! `tokensink-sandbox`.

mod laws;
mod memory_sink;
mod script;
mod scripted_issuer;
mod tables;
mod target;
mod words;
mod world;

pub use laws::{
    a_newer_write_wins, a_receipt_tells_a_foreign_overwrite, a_write_is_seen_by_inspect,
    an_unknown_option_is_refused_by_name, another_value_is_seen_as_another,
    nothing_printable_carries_a_token, obeys_the_laws, prepare_changes_nothing,
    writing_twice_equals_once,
};
pub use memory_sink::{MemorySink, Scripted};
pub use script::{Call, Calm, Ending, Fate, Fault, Planned, Script};
pub use scripted_issuer::ScriptedIssuer;
pub use tables::build;
pub use target::{Evidence, Target, Violation};
pub use world::{Author, Called, Change, World};
