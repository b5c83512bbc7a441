//! How long the protocol waits for what.

use std::time::Duration;

/// The waits of the protocol that do not belong to a single sink.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long an answer to the reset is waited for.
    pub reset_answer: Duration,
    /// How long the issuer's word must hold, or may lag, before it is believed.
    pub settle: Duration,
    /// How long an answer to any other question to the issuer is waited for.
    pub issuer_answer: Duration,
    /// Between two reads of the current token.
    pub poll: Duration,
    /// Between two looks for somebody else's reset while sinks are being written.
    pub look_out: Duration,
    /// How long a reset may stay unanswered before the current token is read alongside.
    pub doubt_after: Duration,
    /// What was prepared longer ago than this is prepared again before the reset.
    pub fresh: Duration,
    /// How long the plugins' surveys of copies may take.
    pub survey: Duration,
    /// A reset that is expected to leave sinks stale for longer than this is not sent.
    pub max_outage: Option<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            reset_answer: Duration::from_secs(15),
            settle: Duration::from_secs(5),
            issuer_answer: Duration::from_secs(5),
            poll: Duration::from_millis(250),
            look_out: Duration::from_secs(2),
            doubt_after: Duration::from_secs(1),
            fresh: Duration::from_secs(5),
            survey: Duration::from_secs(3),
            max_outage: None,
        }
    }
}
