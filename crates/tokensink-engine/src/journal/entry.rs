//! The entries of a run's record, and the facts derived from them.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokensink_core::{Fingerprint, Receipt, TargetId};

use crate::{Command, Outcome};

const TIME: &str = "%Y%m%dT%H%M%S.%6fZ";

/// The name of a run. Names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Creates the name of a run that starts now. It is unique among the runs of a user on a machine, and
    /// greater than the names of all `earlier` runs, even if the clock was set back.
    pub(crate) fn after(earlier: &[RunRecord]) -> Self {
        let newest = earlier.iter().filter_map(|run| run.id.time()).max();
        let next = newest.map(|newest| newest.saturating_add(SignedDuration::from_micros(1)));
        let time = match next {
            Some(Ok(next)) => Timestamp::now().max(next),
            _ => Timestamp::now(),
        };
        Self(format!("{}-{}", time.strftime(TIME), std::process::id()))
    }

    fn time(&self) -> Option<Timestamp> {
        let (time, _) = self.0.split_once('-')?;
        let time = time.strip_suffix('Z')?;
        let time = DateTime::strptime("%Y%m%dT%H%M%S.%6f", time).ok()?;
        TimeZone::UTC.to_timestamp(time).ok()
    }

    pub(crate) fn parse(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of a run's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The time by this machine's clock. It is only shown, and no decision depends on it.
    pub at: Timestamp,
    /// The event.
    pub entry: Entry,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A run that may write has started.
    Started {
        /// The command.
        command: Command,
        /// The id of the QStash.
        issuer: String,
        /// The names of the required sinks that are not part of the run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<String>,
    },
    /// The reset is about to be sent.
    ResetIntended {
        /// The token before the reset.
        before: Fingerprint,
    },
    /// The reset took effect.
    ResetConfirmed {
        /// The token after the reset.
        after: Fingerprint,
    },
    /// The reset did not take effect.
    NotReset,
    /// A sink acknowledged a write.
    Written {
        /// The sink's target.
        target: TargetId,
        /// The written token.
        token: Fingerprint,
        /// The provider's evidence.
        receipt: Receipt,
    },
    /// A write failed or was not acknowledged.
    NotWritten {
        /// The sink's target.
        target: TargetId,
        /// The token.
        token: Fingerprint,
    },
    /// The issuer and all sinks agree, as far as they can be inspected.
    Settled {
        /// The live token.
        token: Fingerprint,
    },
    /// The run ended regularly.
    Finished {
        /// The outcome.
        outcome: Outcome,
    },
}

impl Entry {
    /// Returns the token of the event, if it has one.
    pub(crate) fn token(&self) -> Option<&Fingerprint> {
        match self {
            Self::ResetIntended { before: token }
            | Self::ResetConfirmed { after: token }
            | Self::Written { token, .. }
            | Self::NotWritten { token, .. }
            | Self::Settled { token } => Some(token),
            Self::Started { .. } | Self::NotReset | Self::Finished { .. } => None,
        }
    }
}

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The name of the run.
    pub id: RunId,
    /// The records in order, without a last line that a crash truncated.
    pub records: Vec<Record>,
    /// The file and the problem, if a part of the record could not be read.
    pub damage: Option<String>,
}

/// The newest write of a run to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWrite {
    /// The written token.
    pub token: Fingerprint,
    /// The provider's evidence.
    pub receipt: Receipt,
    /// The time by this machine's clock.
    pub at: Timestamp,
}

/// The last record of a run about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LastRecord {
    /// The last write was acknowledged.
    Written(LastWrite),
    /// The last write was not acknowledged. It may still have taken effect.
    NotWritten,
}

impl RunRecord {
    fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.records.iter().map(|record| &record.entry)
    }

    /// Returns the command, if it was recorded.
    pub fn command(&self) -> Option<Command> {
        self.entries().find_map(|entry| match entry {
            Entry::Started { command, .. } => Some(*command),
            _ => None,
        })
    }

    /// Returns the id of the QStash, if it was recorded.
    pub fn issuer(&self) -> Option<&str> {
        self.entries().find_map(|entry| match entry {
            Entry::Started { issuer, .. } => Some(issuer.as_str()),
            _ => None,
        })
    }

    /// Returns the outcome, or `None` for an interrupted run.
    pub fn outcome(&self) -> Option<Outcome> {
        self.entries().rev().find_map(|entry| match entry {
            Entry::Finished { outcome } => Some(*outcome),
            _ => None,
        })
    }

    /// Returns whether the run was complete and included all required sinks.
    pub(crate) fn is_complete(&self) -> bool {
        let left_some_out = |entry: &Entry| matches!(entry, Entry::Started { left_out, .. } if !left_out.is_empty());
        self.outcome() == Some(Outcome::Complete) && !self.entries().any(left_some_out)
    }

    /// Returns whether the run may belong to `issuer`. A damaged record without an issuer may.
    pub(crate) fn may_be_of(&self, issuer: &str) -> bool {
        self.issuer().map_or(self.damage.is_some(), |of| of == issuer)
    }

    pub(crate) fn may_have_reset(&self) -> bool {
        let intended = |entry: &Entry| matches!(entry, Entry::ResetIntended { .. });
        self.damage.is_some() || self.entries().any(intended)
    }

    /// Returns whether the run may have sent a reset whose outcome is not recorded.
    pub fn has_unacknowledged_reset(&self) -> bool {
        let answered =
            |entry: &Entry| matches!(entry, Entry::ResetConfirmed { .. } | Entry::NotReset);
        self.may_have_reset() && !self.entries().any(answered)
    }

    /// Returns whether the run may have changed something and its end is not known.
    pub(crate) fn has_no_known_end(&self) -> bool {
        let may_have_changed = self.may_have_reset() || self.command() == Some(Command::Sync);
        let is_open = matches!(self.outcome(), None | Some(Outcome::Unknown));
        may_have_changed && (is_open || self.has_unacknowledged_reset())
    }

    /// Returns why the run is unfinished, for messages.
    pub(crate) fn unfinished_reason(&self) -> String {
        let id = &self.id;
        let reason = match (self.outcome(), self.may_have_reset()) {
            (Some(_), _) => format!("run {id} ended without knowing which token is live"),
            (None, true) => format!(
                "run {id} reset the token, or may have, and has not finished: it is still running, \
                 or it was interrupted"
            ),
            (None, false) => {
                format!("run {id} has not finished: it is still running, or it was interrupted")
            }
        };
        match &self.damage {
            Some(damage) => format!("{reason}: {damage}"),
            None => reason,
        }
    }

    /// Returns whether the run was interrupted while it may have been writing.
    pub(crate) fn may_have_written(&self) -> bool {
        let is_cut_off = self.outcome().is_none();
        is_cut_off && (self.command() == Some(Command::Sync) || self.may_have_reset())
    }

    pub(crate) fn written_at(&self, target: &TargetId) -> Option<Timestamp> {
        self.records.iter().rev().find_map(|record| match &record.entry {
            Entry::Written { target: of, .. } if of == target => Some(record.at),
            _ => None,
        })
    }

    /// Returns the last record about `target`.
    pub(crate) fn last_record_on(&self, target: &TargetId) -> Option<LastRecord> {
        self.records.iter().rev().find_map(|record| match &record.entry {
            Entry::Written { target: of, token, receipt } if of == target => {
                let (token, receipt) = (token.clone(), receipt.clone());
                Some(LastRecord::Written(LastWrite { token, receipt, at: record.at }))
            }
            Entry::NotWritten { target: of, .. } if of == target => Some(LastRecord::NotWritten),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_does_not_make_a_run_older() {
        let earlier = RunId::parse("21000101T000000.000009Z-1");
        let run = RunRecord { id: earlier.clone(), records: Vec::new(), damage: None };
        let next = RunId::after(std::slice::from_ref(&run));
        assert!(next > earlier, "{next}");
        assert!(next.to_string().starts_with("21000101T000000.000010Z-"), "{next}");
        assert!(RunId::after(&[]) < earlier);
    }
}
