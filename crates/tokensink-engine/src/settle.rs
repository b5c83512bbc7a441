//! Verifies a delivery: the token is still live, the old one is revoked, and every sink contains the token.
//! Sinks with another value are written again, a bounded number of times.

use futures::future::{join, join3};
use tokensink_core::Issued;
use tokio::time::{Instant, sleep};

use crate::fan_out::OUTLASTED_INTERRUPTS;
use crate::faults::{Fault, is_planted};
use crate::inspection::{InspectResult, inspect_after_write};
use crate::observe::TokenObservation;
use crate::rollout::Rollout;
use crate::run_concurrently::{TaskOutcome, run_concurrently};
use crate::{Event, SinkFailure};

/// The final knowledge about the token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// The token is live.
    Live {
        /// Facts that could not be confirmed but were not contradicted either.
        doubts: Vec<String>,
    },
    /// The token is live, and the old one is still accepted.
    OldStillAccepted,
    /// It is not known which token is live.
    Unknown { reason: String },
}

/// The state of the source and QStash at one moment.
struct Look {
    observed: TokenObservation,
    accepted: Result<bool, String>,
    old_accepted: Result<bool, String>,
}

enum Verdict {
    Certainty(Certainty),
    Newer(Issued),
}

impl Rollout<'_> {
    /// Verifies the token and all sinks until they agree, and writes sinks with another value again.
    pub(crate) async fn settle(&mut self) -> Certainty {
        self.session.show(&Event::Settling);
        loop {
            let verdict = if self.unacknowledged {
                // The sinks are inspected after the window, when an unacknowledged request has taken effect.
                let verdict = self.verdict().await;
                let inspected = self.inspect().await;
                self.note_inspections(inspected);
                verdict
            } else {
                let (verdict, inspected) = join(self.verdict(), self.inspect()).await;
                self.note_inspections(inspected);
                verdict
            };
            let certainty = match verdict {
                Verdict::Certainty(certainty) => certainty,
                Verdict::Newer(issued) if self.has_another_round() => {
                    self.write_newer(issued).await;
                    continue;
                }
                Verdict::Newer(_) => Certainty::Unknown {
                    reason: "another program keeps resetting the token".to_owned(),
                },
            };
            let overwritten = self.select(|sink| sink.was_overwritten(&self.token));
            if overwritten.is_empty() || !self.has_another_round() {
                return certainty;
            }
            // The other program may have written a newer token.
            if let TokenObservation::Newer(issued) = self.observe().await {
                self.write_newer(issued).await;
                continue;
            }
            for index in &overwritten {
                self.sinks[*index].job.preparation = Err(SinkFailure::not_asked());
            }
            self.write(overwritten).await;
            if is_planted(Fault::SkipLastInspection) {
                return certainty;
            }
        }
    }

    /// Inspects every sink. A sink that contradicts an acknowledged write is inspected again until the end of
    /// the settling window after the write.
    async fn inspect(&self) -> Vec<InspectResult> {
        let (settle, poll) = (self.session.timing.settle, self.session.timing.poll);
        let now = Instant::now();
        let jobs: Vec<_> = self
            .sinks
            .iter()
            .map(|sink| {
                let lag_ends = match sink.acknowledged_at() {
                    Some(Some(acknowledged_at)) => acknowledged_at + settle,
                    Some(None) => now,
                    None => now + settle,
                };
                (sink.inspect_job(), lag_ends)
            })
            .collect();
        let token = self.token.fingerprint();
        let ended = run_concurrently(
            jobs,
            |(job, lag_ends)| inspect_after_write(job, token.clone(), lag_ends, poll),
            |_, _| {},
            self.session.context.interrupt.after(OUTLASTED_INTERRUPTS),
        );
        let inspected = ended.await.into_iter().map(|ended| match ended {
            TaskOutcome::Returned(inspected) => inspected,
            TaskOutcome::Panicked => Err(SinkFailure::panicked()),
            TaskOutcome::Abandoned => Err(SinkFailure::not_asked()),
        });
        inspected.collect()
    }

    fn note_inspections(&mut self, inspected: Vec<InspectResult>) {
        for (sink, inspected) in self.sinks.iter_mut().zip(inspected) {
            sink.inspected = inspected;
        }
    }

    async fn verdict(&self) -> Verdict {
        let started = Instant::now();
        loop {
            // Taken before the reads, so that the last ones begin after the end of the window.
            let over = started.elapsed() >= self.session.timing.settle;
            let abandoned = self.session.context.interrupt.after(OUTLASTED_INTERRUPTS);
            let look = tokio::select! {
                biased;
                look = self.look() => look,
                () = abandoned => {
                    let reason = "interrupted before it was verified".to_owned();
                    return Verdict::Certainty(Certainty::Unknown { reason });
                }
            };
            let agrees = matches!(
                &look,
                Look {
                    observed: TokenObservation::Current,
                    accepted: Ok(true),
                    old_accepted: Ok(false)
                }
            );
            match look.observed {
                TokenObservation::Newer(issued) => return Verdict::Newer(issued),
                _ if agrees && (over || !self.unacknowledged) => {
                    return Verdict::Certainty(Certainty::Live { doubts: Vec::new() });
                }
                _ if over => {
                    return Verdict::Certainty(certainty_after(look, self.unacknowledged));
                }
                _ => sleep(self.session.timing.poll).await,
            }
        }
    }

    async fn look(&self) -> Look {
        let old = async {
            match self.superseded.last() {
                Some(old) => self.session.accepts(old).await.map_err(|error| error.to_string()),
                None => Ok(false),
            }
        };
        let (observed, accepted, old_accepted) =
            join3(self.observe(), self.session.accepts(&self.token), old).await;
        Look { observed, accepted: accepted.map_err(|error| error.to_string()), old_accepted }
    }
}

/// Returns the certainty if not everything agrees at the end of the settling window. If an unacknowledged
/// request may still take effect, the token must have been read.
fn certainty_after(look: Look, unacknowledged: bool) -> Certainty {
    let doubt = match look.observed {
        TokenObservation::Current | TokenObservation::Newer(_) => None,
        TokenObservation::Superseded => Some("Upstash still shows the old token".to_owned()),
        TokenObservation::NotAccepted => {
            let reason = "Upstash shows a token that QStash does not accept".to_owned();
            return Certainty::Unknown { reason };
        }
        TokenObservation::Unreadable(error) => {
            Some(format!("the current token could not be read again: {error}"))
        }
    };
    let old_unseen = look.old_accepted.as_ref().err();
    let old_unseen = old_unseen
        .map(|error| format!("could not check whether the old token is revoked: {error}"));
    match (look.accepted, doubt) {
        (Ok(true), Some(reason)) if unacknowledged => Certainty::Unknown { reason },
        (Ok(true), _) if look.old_accepted == Ok(true) => Certainty::OldStillAccepted,
        (Ok(true), doubt) => {
            Certainty::Live { doubts: doubt.into_iter().chain(old_unseen).collect() }
        }
        (Ok(false), _) => {
            Certainty::Unknown { reason: "QStash does not accept the new token".to_owned() }
        }
        (Err(error), None) if !unacknowledged => Certainty::Live {
            doubts: vec![format!("could not check whether QStash accepts the token: {error}")],
        },
        (Err(error), doubt) => Certainty::Unknown {
            reason: doubt.into_iter().chain([error]).collect::<Vec<_>>().join("; "),
        },
    }
}
