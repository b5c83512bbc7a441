//! The laws that every sink obeys.
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
//! Deliberately absent: anything about a particular provider. Stand-ins that speak HTTP live in
//! `tokensink-sandbox`.

mod laws;
mod target;
mod words;

pub use laws::{
    a_newer_write_wins, a_receipt_tells_a_foreign_overwrite, a_write_is_seen_by_inspect,
    an_unknown_option_is_refused_by_name, another_value_is_seen_as_another,
    nothing_printable_carries_a_token, obeys_the_laws, prepare_changes_nothing,
    writing_twice_equals_once,
};
pub use target::{Evidence, Target, Violation};
