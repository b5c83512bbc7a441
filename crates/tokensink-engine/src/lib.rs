//! The reset protocol. This crate uses the issuer and the sinks only through the contract in
//! `tokensink-core`. It has no HTTP and no terminal.
//!
//! # Steps
//!
//! Each step is a module, in this order:
//!
//! | step | module | what it does |
//! |---|---|---|
//! | plan | `plan` (with `prepare`, `inspection`, `survey`) | reads the live token, prepares and inspects every sink; changes nothing |
//! | review | `review` | reports the plan; the caller asks for consent |
//! | prove | `prove` | sends writes that change nothing, if the provider has them |
//! | rehearse | `rehearse` | writes the current token, if the user asked for it |
//! | reset | `reset` | sends the reset once and determines its outcome |
//! | deliver | `fan_out` (with `write`) | writes the new token to all sinks concurrently |
//! | verify | `settle` | reads the token and inspects every sink until they agree |
//! | report | `finish` | decides the outcome, records it and builds the report |
//!
//! `check` and `status` are a plan and a review; `sync` is a plan, a delivery, a verification and a
//! report. The delivery and the verification work on one value, `rollout::Rollout`. A step that ends a
//! command early returns an [`Abort`].
//!
//! # Invariants
//!
//! * The reset is sent only after every required sink is prepared and proven, and takes effect at most
//!   once per run. It is not sent after an interrupt.
//! * A plan sends no request that could be a write.
//! * No sink is reported as current or stale without evidence.
//! * A token that was superseded within a run is never written again.
//! * Every result is recorded on disk before the next step depends on it. The token itself is never
//!   recorded.

mod abort;
mod coordinator;
mod fan_out;
mod faults;
mod finish;
mod forecast;
mod inspection;
mod interrupt;
pub mod journal;
mod observe;
mod plan;
mod prepare;
mod progress;
mod prove;
mod rate_limiter;
mod rehearse;
mod report;
mod reset;
mod retry;
mod review;
mod rollout;
mod run_concurrently;
mod session;
mod settle;
mod sink;
mod survey;
mod timing;
mod write;

pub use abort::Abort;
pub use coordinator::Coordinator;
#[cfg(feature = "planted-faults")]
pub use faults::{Fault, plant};
pub use forecast::{Forecast, time_in_words};
pub use interrupt::{Interrupt, Interrupter};
pub use plan::{Destination, Plan, Prepared};
pub use progress::{Event, Progress, Silent};
pub use report::{Command, Outcome, Report, SinkReport, State, TokenChange};
pub use session::RunContext;
pub use sink::{Sink, SinkFailure, SinkOptions, error_chain};
pub use timing::Timing;
