//! After the writes: is the token still the live one, is the old one dead, and does every sink hold
//! what it should? Whatever is found wrong is put right, a bounded number of times.

use std::sync::Arc;

use futures::future::{join, join3};
use tokensink_core::{Issued, SinkErrorKind, Token};
use tokio::time::{Instant, sleep};

use crate::coordinator::Coordinator;
use crate::fan_out::{Order, Written};
use crate::inspection::{Finding, Inspected, Write, conclude, inspect};
use crate::journal::LastWrite;
use crate::prepare::Prepared;
use crate::push::Chase;
use crate::report::milliseconds;
use crate::run_concurrently::{Ended, run_concurrently};
use crate::{Event, Failure, SinkReport, State};

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
    Unknown { why: String },
}

/// Where one sink stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) order: Order,
    pub(crate) last_write: Option<LastWrite>,
    pub(crate) written: Option<Written>,
    pub(crate) inspected: Inspected,
    pub(crate) attempts: u32,
    /// A write of a token that was superseded since was never answered: whatever the sink holds
    /// now, that write may still undo it.
    pub(crate) haunted: bool,
}

impl Standing {
    /// Before the fan-out.
    pub(crate) fn of(prepared: &Prepared) -> Self {
        Self {
            order: Order::of(prepared),
            last_write: prepared.last_write.clone(),
            written: None,
            inspected: prepared.holds.clone(),
            attempts: 0,
            haunted: prepared.haunted,
        }
    }

    pub(crate) fn state(&self) -> (State, String) {
        let write = self.written.as_ref().map_or(Write::None, Written::as_write);
        match conclude(write, &self.inspected) {
            (State::Current, _) if self.haunted => {
                let why = "a write of the token before was not answered and may still take effect";
                (State::Unknown, why.to_owned())
            }
            concluded => concluded,
        }
    }

    /// Its line in the report. `since` is when the reset left.
    pub(crate) fn report(&self, since: Option<Instant>) -> SinkReport {
        let (state, evidence) = self.state();
        let acknowledged = self.written.as_ref().and_then(|written| written.outcome.as_ref().ok());
        let failed = self.written.as_ref().and_then(|written| written.outcome.as_ref().err());
        let is_current = state == State::Current;
        let outage = acknowledged.zip(since).filter(|_| is_current);
        SinkReport {
            outage_ms: outage.map(|(acknowledged, since)| milliseconds(acknowledged.at - since)),
            attempts: self.attempts,
            error: failed.filter(|_| !is_current).map(ToString::to_string),
            ..SinkReport::of(&self.order.sink, state, evidence)
        }
    }

    /// Takes note of how a write ended.
    pub(crate) fn note(&mut self, written: Written) {
        self.attempts += written.attempts;
        self.haunted |= written.haunted;
        self.last_write = written.as_last_write().or(self.last_write.take());
        self.written = Some(written);
    }

    /// Whether the last write of this run was of `token`.
    pub(crate) fn was_given(&self, token: &Token) -> bool {
        self.written.as_ref().is_some_and(|written| *written.token == *token)
    }

    /// What was written until now is of a dead token.
    pub(crate) fn supersede(&mut self) {
        self.haunted |= self.written.take().is_some_and(|written| written.may_still_land);
    }

    /// Whether writing once more may help: somebody else wrote after an acknowledged write of ours,
    /// or after the sink was found current. One that could not be written had its time.
    fn was_overwritten(&self) -> bool {
        let was_current = self.written.as_ref().is_none_or(|written| written.outcome.is_ok());
        match &self.inspected {
            Ok(Finding::OtherValue | Finding::Absent) => was_current,
            Err(failure) => failure.kind == SinkErrorKind::Conflict,
            Ok(_) => false,
        }
    }
}

/// What the issuer says about the token, at one moment.
struct Look {
    ours: Ours,
    accepted: Result<bool, String>,
    old_accepted: Result<bool, String>,
}

/// What the issuer says about the chase's token.
pub(crate) enum Ours {
    Yes,
    /// A token that this run knows to be dead: the read lags.
    Lagging,
    Newer(Issued),
    /// Another token, which is not let in (yet).
    Contradicted,
    Unreadable(String),
}

impl Coordinator {
    /// How many interrupts are let pass: the first one lets the run finish, the second ends it.
    pub(crate) fn patience(&self) -> u32 {
        1
    }

    /// Looks at everything until it agrees, and writes again what does not hold the newest token.
    pub(crate) async fn settle(
        &self,
        standings: &mut [Standing],
        chase: &mut Chase,
        warnings: &mut Vec<String>,
    ) -> Certainty {
        self.context.progress.on(&Event::Settling);
        loop {
            let verdict = if chase.in_doubt {
                // What may still take effect shows in the sinks when the window is over.
                let verdict = self.verdict(chase).await;
                self.inspect_standings(standings, chase).await;
                verdict
            } else {
                let inspected = self.inspect_standings(standings, chase);
                join(self.verdict(chase), inspected).await.0
            };
            let certainty = match verdict {
                Verdict::Certainty(certainty) => certainty,
                Verdict::Newer(issued) if chase.has_another_round() => {
                    warnings.extend(self.push_newer(standings, chase, issued).await);
                    continue;
                }
                Verdict::Newer(_) => Certainty::Unknown {
                    why: "the token keeps being reset by someone else".to_owned(),
                },
            };
            if standings.iter().any(Standing::was_overwritten) && chase.has_another_round() {
                // Whoever wrote there may have had a newer token to write.
                if let Ours::Newer(issued) = self.ours(chase).await {
                    warnings.extend(self.push_newer(standings, chase, issued).await);
                    continue;
                }
                for standing in standings.iter_mut().filter(|one| one.was_overwritten()) {
                    standing.order.writer = Err(Failure::not_asked());
                }
                warnings.extend(self.push(standings, chase, Standing::was_overwritten).await);
                continue;
            }
            return certainty;
        }
    }

    async fn inspect_standings(&self, standings: &mut [Standing], chase: &Chase) {
        let questions: Vec<_> = standings
            .iter()
            .map(|one| {
                let order = &one.order;
                (Arc::clone(&order.sink), order.lane.clone(), one.last_write.clone())
            })
            .collect();
        let ended = run_concurrently(
            questions,
            |(sink, lane, last)| inspect(sink, lane, Arc::clone(&chase.token), last),
            |_, _| {},
            self.context.interrupt.after(self.patience()),
        )
        .await;
        for (standing, ended) in standings.iter_mut().zip(ended) {
            standing.inspected = match ended {
                Ended::With(inspected) => inspected,
                Ended::Panicked => Err(Failure::panicked()),
                Ended::Abandoned => Err(Failure::not_asked()),
            };
        }
    }

    async fn verdict(&self, chase: &Chase) -> Verdict {
        let started = Instant::now();
        loop {
            // Taken before the look: what it sees must have held for the whole window.
            let over = started.elapsed() >= self.timing.settle;
            let abandoned = self.context.interrupt.after(self.patience());
            let look = tokio::select! {
                biased;
                look = self.look(chase) => look,
                () = abandoned => {
                    let why = "abandoned before it was settled".to_owned();
                    return Verdict::Certainty(Certainty::Unknown { why });
                }
            };
            match (look, over) {
                (Look { ours: Ours::Newer(issued), .. }, _) => return Verdict::Newer(issued),
                (Look { ours: Ours::Yes, accepted: Ok(true), old_accepted: Ok(false) }, over)
                    if over || !chase.in_doubt =>
                {
                    return Verdict::Certainty(Certainty::Live { doubts: Vec::new() });
                }
                (look, true) => return Verdict::Certainty(final_word(look, chase.in_doubt)),
                (_, false) => sleep(self.timing.poll).await,
            }
        }
    }

    async fn look(&self, chase: &Chase) -> Look {
        let old = async {
            match chase.superseded.last() {
                Some(old) => self.accepts(old).await.map_err(|error| error.to_string()),
                None => Ok(false),
            }
        };
        let (ours, accepted, old_accepted) =
            join3(self.ours(chase), self.accepts(&chase.token), old).await;
        Look { ours, accepted: accepted.map_err(|error| error.to_string()), old_accepted }
    }

    /// Whether the issuer still knows the chase's token as the live one.
    pub(crate) async fn ours(&self, chase: &Chase) -> Ours {
        match self.current().await {
            Err(error) => Ours::Unreadable(error.to_string()),
            Ok(issued) if issued.token == *chase.token => Ours::Yes,
            Ok(issued) if chase.superseded.contains(&issued.token) => Ours::Lagging,
            Ok(issued) => match self.accepts(&issued.token).await {
                Ok(true) => Ours::Newer(issued),
                _ => Ours::Contradicted,
            },
        }
    }
}

enum Verdict {
    Certainty(Certainty),
    Newer(Issued),
}

/// What must be said when the settling window is over and not everything agrees. With a reset that
/// may still land, only a clear view of the token will do.
fn final_word(look: Look, in_doubt: bool) -> Certainty {
    let doubt = match look.ours {
        Ours::Yes | Ours::Newer(_) => None,
        Ours::Lagging => Some("Upstash still shows the old token".to_owned()),
        Ours::Contradicted => {
            let why = "Upstash shows a token that QStash does not accept".to_owned();
            return Certainty::Unknown { why };
        }
        Ours::Unreadable(why) => Some(format!("the current token could not be read again: {why}")),
    };
    let old_unseen = look.old_accepted.as_ref().err();
    let old_unseen =
        old_unseen.map(|why| format!("it could not be seen whether the old token is dead: {why}"));
    match (look.accepted, doubt) {
        (Ok(true), Some(why)) if in_doubt => Certainty::Unknown { why },
        (Ok(true), _) if look.old_accepted == Ok(true) => Certainty::OldStillAccepted,
        (Ok(true), doubt) => {
            Certainty::Live { doubts: doubt.into_iter().chain(old_unseen).collect() }
        }
        (Ok(false), _) => {
            Certainty::Unknown { why: "QStash does not accept the new token".to_owned() }
        }
        (Err(why), None) if !in_doubt => Certainty::Live {
            doubts: vec![format!("QStash could not be asked whether it accepts the token: {why}")],
        },
        (Err(why), doubt) => Certainty::Unknown {
            why: doubt.into_iter().chain([why]).collect::<Vec<_>>().join("; "),
        },
    }
}
