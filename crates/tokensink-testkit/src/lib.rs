//! Conformance checks for sinks, and test doubles for the engine.
//!
//! A plugin's tests describe one place that its sink writes to ([`SinkFixture`]) and call
//! [`assert_conformance`]. Everything the sink does is then observed from outside, at that place:
//!
//! ```no_run
//! # use tokensink_testkit::{SinkFixture, Violation, assert_conformance};
//! # async fn conforming(fixture: &dyn SinkFixture) -> Result<(), Vec<Violation>> {
//! assert_conformance(fixture).await
//! # }
//! ```
//!
//! The doubles are a [`World`] in memory: an issuer and sinks that do what a [`Script`] decides for
//! every call, and a record of everything that happened.
//!
//! Deliberately absent: anything about a particular provider. Fake servers that speak HTTP are in
//! `tokensink-sandbox`.

#![warn(missing_docs)]

mod conformance;
mod fixture;
mod memory_sink;
mod script;
mod scripted_issuer;
mod tables;
mod words;
mod world;

pub use conformance::{
    assert_conformance, newer_write_wins, nothing_printable_contains_a_token,
    other_value_is_never_taken_for_the_token, prepare_changes_nothing, prove_changes_no_value,
    receipt_reveals_an_external_write, unknown_option_is_refused_by_name,
    write_is_visible_to_inspect, writing_twice_equals_once,
};
pub use fixture::{Evidence, SinkFixture, Violation};
pub use memory_sink::{MemorySink, Scripted};
pub use script::{Call, Calm, Ending, Fault, Planned, Script, ScriptedResponse};
pub use scripted_issuer::ScriptedIssuer;
pub use tables::{build, build_in};
pub use world::{Author, Called, Change, World};
