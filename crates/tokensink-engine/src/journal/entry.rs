//! The entries of a run's record, and what can be read from them.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokensink_core::{Fingerprint, Receipt, TargetId};

use crate::{Command, Outcome};

const TIME: &str = "%Y%m%dT%H%M%S.%6fZ";

/// Names a run. Sorts by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A name for a run that starts now: no two runs of one user on one machine share it, and it
    /// is greater than those of all `earlier` runs, even where the clock was set back.
    pub(crate) fn after(earlier: &[Run]) -> Self {
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
    /// When it was written, by this machine's clock. For people only: nothing is decided by it.
    pub at: Timestamp,
    /// What happened.
    pub entry: Entry,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A run that may write has begun.
    Started {
        /// Which command.
        command: Command,
        /// Which QStash.
        issuer: String,
        /// The required sinks that take no part in it, by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<String>,
    },
    /// The reset is about to leave.
    ResetIntended {
        /// The token that is live now.
        before: Fingerprint,
    },
    /// The reset is known to have happened.
    ResetConfirmed {
        /// The token that is live since.
        after: Fingerprint,
    },
    /// The reset is known not to have happened.
    NotReset,
    /// A sink acknowledged a write.
    Written {
        /// Which one.
        target: TargetId,
        /// Which token.
        token: Fingerprint,
        /// The provider's proof.
        receipt: Receipt,
    },
    /// A sink could not be written, or it is not known whether it was.
    NotWritten {
        /// Which one.
        target: TargetId,
        /// Which token.
        token: Fingerprint,
    },
    /// Issuer and sinks agree, as far as they can be asked.
    Settled {
        /// The live token.
        token: Fingerprint,
    },
    /// The run has ended by itself.
    Finished {
        /// How.
        outcome: Outcome,
    },
}

impl Entry {
    /// The token that it is about.
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
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What it recorded, in order. A line that a crash tore off is not in it.
    pub records: Vec<Record>,
    /// Why not all of the record could be read, if so: the file, and what is wrong with it.
    pub damage: Option<String>,
}

/// The newest write of a run to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWrite {
    /// Which token was written.
    pub token: Fingerprint,
    /// The provider's proof.
    pub receipt: Receipt,
    /// When, by this machine's clock.
    pub at: Timestamp,
}

/// What a record says last of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LastRecord {
    /// A write was acknowledged.
    Written(LastWrite),
    /// It was not, which need not mean that it did not happen.
    NotWritten,
}

impl Run {
    fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.records.iter().map(|record| &record.entry)
    }

    /// Which command it was, if the record got that far.
    pub fn command(&self) -> Option<Command> {
        self.entries().find_map(|entry| match entry {
            Entry::Started { command, .. } => Some(*command),
            _ => None,
        })
    }

    /// Which QStash it was about.
    pub fn issuer(&self) -> Option<&str> {
        self.entries().find_map(|entry| match entry {
            Entry::Started { issuer, .. } => Some(issuer.as_str()),
            _ => None,
        })
    }

    /// How it ended; `None` for a run that was cut off.
    pub fn outcome(&self) -> Option<Outcome> {
        self.entries().rev().find_map(|entry| match entry {
            Entry::Finished { outcome } => Some(*outcome),
            _ => None,
        })
    }

    /// It ended well, and no required sink was left out of it.
    pub(crate) fn is_complete(&self) -> bool {
        let left_some_out = |entry: &Entry| matches!(entry, Entry::Started { left_out, .. } if !left_out.is_empty());
        self.outcome() == Some(Outcome::Complete) && !self.entries().any(left_some_out)
    }

    /// Where the record does not tell, it may be of any.
    pub(crate) fn may_be_of(&self, issuer: &str) -> bool {
        self.issuer().map_or(self.damage.is_some(), |of| of == issuer)
    }

    pub(crate) fn may_have_reset(&self) -> bool {
        let intended = |entry: &Entry| matches!(entry, Entry::ResetIntended { .. });
        self.damage.is_some() || self.entries().any(intended)
    }

    /// A reset may have been on its way, and the record does not say what became of it.
    pub fn is_unconfirmed(&self) -> bool {
        let answered =
            |entry: &Entry| matches!(entry, Entry::ResetConfirmed { .. } | Entry::NotReset);
        self.may_have_reset() && !self.entries().any(answered)
    }

    /// Whether it may have changed something and its end is not known.
    pub(crate) fn has_no_known_end(&self) -> bool {
        let may_have_changed = self.may_have_reset() || self.command() == Some(Command::Sync);
        let is_open = matches!(self.outcome(), None | Some(Outcome::Unknown));
        may_have_changed && (is_open || self.is_unconfirmed())
    }

    /// Why it is not finished, for people.
    pub(crate) fn unfinished_reason(&self) -> String {
        let id = &self.id;
        let reason = match (self.outcome(), self.may_have_reset()) {
            (Some(_), _) => format!("run {id} ended without knowing which token is live"),
            (None, true) => format!(
                "run {id} reset the token, or may have, and has not finished: it is under way \
                 still, or was cut off"
            ),
            (None, false) => {
                format!("run {id} has not finished: it is under way still, or was cut off")
            }
        };
        match &self.damage {
            Some(damage) => format!("{reason}: {damage}"),
            None => reason,
        }
    }

    /// Whether it was cut off at a time at which it may have been writing.
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

    /// What its record says last of `target`.
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
        let run = Run { id: earlier.clone(), records: Vec::new(), damage: None };
        let next = RunId::after(std::slice::from_ref(&run));
        assert!(next > earlier, "{next}");
        assert!(next.to_string().starts_with("21000101T000000.000010Z-"), "{next}");
        assert!(RunId::after(&[]) < earlier);
    }
}
