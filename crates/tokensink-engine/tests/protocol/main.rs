//! Tests of the protocol with test doubles, for everything that the simulation does not check: reports,
//! pauses and interrupts.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod certainty;
mod forecast;
mod interrupts;
mod lagging_reads;
mod plans;
mod proofs;
mod refusals;
mod rehearsals;
mod reports;
mod retries;
mod settling;
mod stage;
mod status;
mod surveys;
mod unfinished;
