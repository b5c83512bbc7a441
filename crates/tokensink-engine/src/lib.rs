//! The reset protocol: prepare, reset once, fan out, settle, report.
//!
//! Data flows one way: sinks, prepared, written, verified, report. This crate speaks to the issuer
//! and to the sinks through the contract in `tokensink-core` alone; it knows no HTTP and no terminal.
//! Of the command line it knows the names alone, to say what to do next.
//!
//! # Invariants
//!
//! * The reset is sent only after every required sink is prepared, and takes effect at most once
//!   per run.
//! * No sink is reported as holding the live token without evidence.
//! * A token that was superseded within a run is never written again.
//! * What was learned before a crash is on disk; the token itself never is.

mod commands;
mod coordinator;
mod fan_out;
mod forecast;
mod inspection;
mod interrupt;
pub mod journal;
mod limiter;
mod plan;
mod prepare;
mod progress;
mod push;
mod report;
mod reset;
mod retry;
mod run_concurrently;
mod settle;
mod sink;
mod timing;

pub use coordinator::{Coordinator, RunContext};
pub use forecast::{Forecast, time_in_words};
pub use interrupt::{Interrupt, Interrupter};
pub use plan::Plan;
pub use prepare::Prepared;
pub use progress::{Event, Progress, Silent};
pub use report::{Command, Outcome, Report, SinkReport, State, TokenChange};
pub use sink::{Failure, Sink, SinkOptions, error_chain};
pub use timing::Timing;
