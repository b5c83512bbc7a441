//! What the coordinator tells a watching person while it works. No event carries a secret.

use crate::{Sink, State};

/// A step of the protocol.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Sinks and issuer are being asked; `total` sinks.
    Preparing {
        /// How many sinks there are.
        total: usize,
    },
    /// This sink is prepared, or is known not to be.
    Prepared {
        /// Which one.
        sink: &'a Sink,
        /// Whether it may be written.
        ready: bool,
    },
    /// Writes that change nothing are being sent, to see whether writes are permitted.
    Proving {
        /// How many sinks are asked.
        total: usize,
    },
    /// The current token is being written to see whether writes are let in.
    Rehearsing {
        /// How many sinks are written.
        total: usize,
    },
    /// The providers' limits may have to let some time pass, so that the writes need not wait.
    AwaitingRoom,
    /// The reset is about to leave. From here on the old token may be dead.
    Resetting,
    /// The new token is being written.
    FanningOut {
        /// How many sinks are written.
        total: usize,
    },
    /// This sink's write was acknowledged, or given up.
    Written {
        /// Which one.
        sink: &'a Sink,
        /// What is known so far.
        state: State,
    },
    /// Everything is being looked at once more.
    Settling,
    /// Someone else reset the token meanwhile; the newest one is being pushed.
    Superseded,
    /// An interrupt came when stopping would leave sinks stale: what has begun is finished first.
    Interrupted,
}

/// Someone who watches.
pub trait Progress: std::fmt::Debug + Send + Sync {
    /// Called on the coordinator's own task: must not block.
    fn on(&self, event: &Event<'_>);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _: &Event<'_>) {}
}
