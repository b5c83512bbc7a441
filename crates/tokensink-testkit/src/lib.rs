//! Conformance checks for sinks, and test doubles for the engine.
//!
//! A plugin's tests describe one target of its sink ([`SinkFixture`]) and call
//! [`assert_conformance`], which runs the sink and observes its effects at the target:
//!
//! ```no_run
//! # use tokensink_testkit::{SinkFixture, Violation, assert_conformance};
//! # async fn conforming(fixture: &dyn SinkFixture) -> Result<(), Vec<Violation>> {
//! assert_conformance(fixture).await
//! # }
//! ```
//!
//! The test doubles are a [`World`] in memory: an issuer and sinks whose response to every call is
//! decided by a [`Script`], and a record of all calls and changes.
//!
//! Nothing here is about a particular provider. The fake HTTP servers are in `tokensink-sandbox`.

#![warn(missing_docs)]

mod conformance;
mod fixture;
mod memory_sink;
mod printed;
mod script;
mod scripted_issuer;
mod tables;
mod world;

pub use conformance::{
    assert_conformance, newer_write_wins, nothing_printable_contains_a_token,
    other_value_is_never_reported_as_the_token, prepare_changes_nothing, prove_changes_no_value,
    receipt_reveals_an_external_write, unknown_option_is_rejected_by_name,
    write_is_visible_to_inspect, writing_twice_equals_once,
};
pub use fixture::{Evidence, SinkFixture, Violation};
pub use memory_sink::{MemorySink, Scripted};
pub use script::{AlwaysSucceeds, Call, Ending, Planned, Script, ScriptedError, ScriptedResponse};
pub use scripted_issuer::ScriptedIssuer;
pub use tables::{build, build_in};
pub use world::{Author, Change, RecordedCall, World};
