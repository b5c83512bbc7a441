//! Progress events of the coordinator. They contain no secret.

use crate::{Sink, State};

/// A step of the protocol.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The token is read, and all sinks are prepared and inspected.
    Preparing {
        /// The number of sinks.
        total: usize,
    },
    /// The preparation of a sink ended.
    Prepared {
        /// The sink.
        sink: &'a Sink,
        /// Whether the preparation succeeded.
        ready: bool,
    },
    /// Writes that change nothing are sent to prove that writes are permitted.
    Proving {
        /// The number of sinks.
        total: usize,
    },
    /// The current token is written to prove that writes are permitted.
    Rehearsing {
        /// The number of sinks.
        total: usize,
    },
    /// The run waits until the rate limits have room for all writes.
    AwaitingRoom,
    /// The reset is about to be sent. From now on the old token may be revoked.
    Resetting,
    /// The new token is written.
    FanningOut {
        /// The number of sinks.
        total: usize,
    },
    /// The write of a sink was acknowledged or failed.
    Written {
        /// The sink.
        sink: &'a Sink,
        /// The state so far.
        state: State,
    },
    /// The token and all sinks are verified.
    Settling,
    /// Another program has reset the token, and the newest one is written.
    Superseded,
    /// The user interrupted the run when stopping would leave sinks stale, so the writes are finished.
    Interrupted,
}

/// An observer of the progress.
pub trait Progress: std::fmt::Debug + Send + Sync {
    /// Handles an event. It is called on the coordinator's task and must not block.
    fn on(&self, event: &Event<'_>);
}

/// An observer that ignores all events.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _: &Event<'_>) {}
}
