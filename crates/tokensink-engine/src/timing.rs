//! The time limits and pauses of the protocol.

use std::time::Duration;

/// The time limits and pauses that do not belong to a single sink.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The time limit for the response to the reset.
    pub reset_answer: Duration,
    /// The settling window: the maximum lag of reads after a write or a reset.
    pub settle: Duration,
    /// The time limit for the response to any other request to the issuer.
    pub issuer_answer: Duration,
    /// The pause between two reads of the current token.
    pub poll: Duration,
    /// The pause between two checks for an external reset while sinks are written.
    pub look_out: Duration,
    /// The time after which the current token is read while the reset has no response.
    pub doubt_after: Duration,
    /// The maximum age of a preparation. An older one is repeated before the reset.
    pub fresh: Duration,
    /// The time limit of all surveys.
    pub survey: Duration,
    /// The maximum outage. A reset with a longer forecast is not sent.
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
