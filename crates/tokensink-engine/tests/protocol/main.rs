//! The protocol with doubles, where the simulation's claims say nothing: what is reported, how long
//! is waited, what an interrupt does.

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
