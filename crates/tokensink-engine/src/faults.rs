//! Faults that can be planted in the protocol, to test that the simulation finds each of them. Without
//! the feature `planted-faults` they cannot be planted, and the checks compile to nothing.

/// A fault at one place of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted-faults"),
    allow(dead_code, unreachable_pub, reason = "public where it can be planted")
)]
pub enum Fault {
    ResendUnknownReset,
    BelieveUnacceptedToken,
    BelieveRefusal,
    SendAfterInterrupt,
    TrustAnyReceipt,
    TrustUninspected,
    CallForeignWriteStale,
    IgnoreLag,
    ForgetUnacknowledged,
    BelieveFirstLook,
    ForgetUnfinished,
    IgnoreObstacles,
    SkipProof,
    ProveInPlan,
    RehearseForeignValues,
    IgnoreReplacement,
    IgnoreReplacementInRehearsal,
    CompleteWithStaleSink,
    AwaitHangingAttempt,
    DeliverNewerToSome,
    DeliverNewerToUnwritten,
    SkipLastInspection,
}

/// Whether `fault` is planted.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn is_planted(_: Fault) -> bool {
    false
}

#[cfg(feature = "planted-faults")]
pub(crate) use planted::is_planted;
#[cfg(feature = "planted-faults")]
pub use planted::plant;

#[cfg(feature = "planted-faults")]
mod planted {
    use std::sync::OnceLock;

    use super::Fault;

    static PLANTED: OnceLock<Fault> = OnceLock::new();

    /// Plants `fault` for the rest of the process. Later calls have no effect.
    pub fn plant(fault: Fault) {
        PLANTED.get_or_init(|| fault);
    }

    /// Whether `fault` is planted.
    pub(crate) fn is_planted(fault: Fault) -> bool {
        PLANTED.get() == Some(&fault)
    }

    impl Fault {
        pub const ALL: &[Self] = &[
            Self::ResendUnknownReset,
            Self::BelieveUnacceptedToken,
            Self::BelieveRefusal,
            Self::SendAfterInterrupt,
            Self::TrustAnyReceipt,
            Self::TrustUninspected,
            Self::CallForeignWriteStale,
            Self::IgnoreLag,
            Self::ForgetUnacknowledged,
            Self::BelieveFirstLook,
            Self::ForgetUnfinished,
            Self::IgnoreObstacles,
            Self::SkipProof,
            Self::ProveInPlan,
            Self::RehearseForeignValues,
            Self::IgnoreReplacement,
            Self::IgnoreReplacementInRehearsal,
            Self::CompleteWithStaleSink,
            Self::AwaitHangingAttempt,
            Self::DeliverNewerToSome,
            Self::DeliverNewerToUnwritten,
            Self::SkipLastInspection,
        ];

        /// Returns the wrong behavior.
        pub fn describe(self) -> &'static str {
            match self {
                Self::ResendUnknownReset => "a reset whose outcome is not known is sent again",
                Self::BelieveUnacceptedToken => {
                    "a token that was read is delivered before QStash accepts it"
                }
                Self::BelieveRefusal => "a refusal of the reset is believed at once",
                Self::SendAfterInterrupt => "a reset is sent after an interrupt",
                Self::TrustAnyReceipt => "a receipt proves any token",
                Self::TrustUninspected => "a sink that could not be inspected counts as current",
                Self::CallForeignWriteStale => "a sink that another program wrote counts as stale",
                Self::IgnoreLag => "a lagging read counts as an external write",
                Self::ForgetUnacknowledged => {
                    "an unacknowledged write of a superseded token is forgotten"
                }
                Self::BelieveFirstLook => "a sync after an unfinished run believes the first read",
                Self::ForgetUnfinished => "an unfinished run is ignored",
                Self::IgnoreObstacles => "an unprepared required sink does not stop the reset",
                Self::SkipProof => "the reset is sent without the proofs",
                Self::ProveInPlan => "the plan sends the proofs",
                Self::RehearseForeignValues => "the rehearsal overwrites another value",
                Self::IgnoreReplacement => "an external reset before ours is not noticed",
                Self::IgnoreReplacementInRehearsal => {
                    "an external reset during the rehearsal is not noticed"
                }
                Self::CompleteWithStaleSink => "a run is complete with a stale required sink",
                Self::AwaitHangingAttempt => "an attempt that hangs is awaited",
                Self::DeliverNewerToSome => "a newer token is written to some of the sinks only",
                Self::DeliverNewerToUnwritten => {
                    "a newer token is not written to sinks that were already written"
                }
                Self::SkipLastInspection => "sinks are not inspected again after the last write",
            }
        }
    }
}
