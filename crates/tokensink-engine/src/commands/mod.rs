//! One file for each command: the protocol from its plan to its report.

mod check;
mod conclusion;
mod rehearse;
mod reset;
mod status;
mod sync;
