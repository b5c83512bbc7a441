//! Simulates the engine in a world in memory, with one random scenario for each seed.
//!
//! A scenario is a few commands under paused time. Calls are slow, fail, hang, panic, or take effect
//! although their response is lost; reads lag; other programs reset the token or write to a sink; a second
//! machine runs at the same time; the run is interrupted or killed at any of its steps. After every command
//! the invariants are checked against the recorded events ([`InvariantViolation`]), and at the end one
//! `sync` without faults must repair everything.
//!
//! A seed determines the scenario completely, so the seed of a violation replays it.
//!
//! The simulation has no HTTP, no files and no CLI. The end-to-end tests cover these.

mod crash;
mod faults;
mod invariants;
mod scenario;
mod step;
mod unreliable_journal;

pub use invariants::InvariantViolation;
pub use scenario::{run_scenario, run_twice};
