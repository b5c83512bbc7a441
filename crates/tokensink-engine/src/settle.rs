//! After the writes: is the token still the live one, is the old one revoked, and does every sink hold
//! what it should? What is found wrong is repaired, a bounded number of times.

use futures::future::{join, join3};
use tokensink_core::Issued;
use tokio::time::{Instant, sleep};

use crate::fan_out::OUTLASTED_INTERRUPTS;
use crate::faults::{Fault, is_planted};
use crate::inspection::{InspectResult, inspect_after_write};
use crate::observe::TokenObservation;
use crate::rollout::Rollout;
use crate::run_concurrently::{TaskOutcome, run_concurrently};
use crate::{Event, Failure};

/// What is known about the token when all is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// It is the live one.
    Live {
        /// What could not be confirmed, though nothing speaks against it.
        doubts: Vec<String>,
    },
    /// It is live, and so is the one before.
    OldStillAccepted,
    /// It cannot be told which token is live.
    Unknown { reason: String },
}

/// What the source and QStash show, at one moment.
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
    /// Looks at everything until it agrees, and writes again what does not hold the newest token.
    pub(crate) async fn settle(&mut self) -> Certainty {
        self.session.show(&Event::Settling);
        loop {
            let verdict = if self.unacknowledged {
                // What may still take effect shows in the sinks when the window is over.
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
                    reason: "the token keeps being reset by someone else".to_owned(),
                },
            };
            let overwritten = self.select(|sink| sink.was_overwritten(&self.token));
            if overwritten.is_empty() || !self.has_another_round() {
                return certainty;
            }
            // The other writer may have had a newer token to write.
            if let TokenObservation::Newer(issued) = self.observe().await {
                self.write_newer(issued).await;
                continue;
            }
            for index in &overwritten {
                self.sinks[*index].job.preparation = Err(Failure::not_asked());
            }
            self.write(overwritten).await;
            if is_planted(Fault::SkipLastInspection) {
                return certainty;
            }
        }
    }

    /// Inspects every sink. What contradicts an acknowledged write is inspected again until the
    /// settling window after it is over.
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
            TaskOutcome::Panicked => Err(Failure::panicked()),
            TaskOutcome::Abandoned => Err(Failure::not_asked()),
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
            // Taken before the look: what it sees must have held for the whole window.
            let over = started.elapsed() >= self.session.timing.settle;
            let abandoned = self.session.context.interrupt.after(OUTLASTED_INTERRUPTS);
            let look = tokio::select! {
                biased;
                look = self.look() => look,
                () = abandoned => {
                    let reason = "abandoned before it was settled".to_owned();
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

/// What is certain when the settling window is over and not everything agrees. With a request that
/// may still take effect, only a clear view of the token will do.
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
        .map(|error| format!("it could not be seen whether the old token is revoked: {error}"));
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
            doubts: vec![format!(
                "QStash could not be asked whether it accepts the token: {error}"
            )],
        },
        (Err(error), doubt) => Certainty::Unknown {
            reason: doubt.into_iter().chain([error]).collect::<Vec<_>>().join("; "),
        },
    }
}
