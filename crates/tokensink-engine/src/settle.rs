//! After the writes: is the token still the live one, is the old one dead, and does every sink hold
//! what it should? Whatever is found wrong is put right, a bounded number of times.

use std::sync::Arc;

use tokensink_core::{Holds, Issued, SinkErrorKind, Token};
use tokio::time::{Instant, sleep};

use crate::coordinator::Coordinator;
use crate::fan_out::{Order, Written, write};
use crate::inspection::{Inspected, Write, conclude, inspect};
use crate::journal::{Entry, LastWrite};
use crate::limiter::Admission;
use crate::report::milliseconds;
use crate::side_by_side::{Ended, side_by_side};
use crate::{Event, Failure, SinkReport, State};

/// How often the sinks are written again, because somebody else wrote or reset in between.
const MOST_ROUNDS: u32 = 5;

/// The token being brought to the sinks, and the ones that it replaced in this run.
#[derive(Debug)]
pub(crate) struct Chase {
    pub(crate) token: Arc<Token>,
    /// Dead: never written again, whatever a lagging read may say.
    pub(crate) superseded: Vec<Token>,
    /// The answer to a reset was not readable, so that one may still land: nothing is believed
    /// before it has held for the settling window.
    pub(crate) in_doubt: bool,
}

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

    /// What was written until now is of a dead token.
    fn supersede(&mut self) {
        self.haunted |= self.written.take().is_some_and(|written| written.may_still_land);
    }

    /// Whether writing once more may help: somebody else wrote after an acknowledged write of ours,
    /// or after the sink was found current. One that could not be written had its time.
    fn was_overwritten(&self) -> bool {
        let was_current = self.written.as_ref().is_none_or(|written| written.outcome.is_ok());
        match &self.inspected {
            Ok(Holds::AnotherValue | Holds::Nothing) => was_current,
            Err(failure) => failure.kind == SinkErrorKind::Conflict,
            Ok(_) => false,
        }
    }
}

/// What the issuer says about the token, at one moment.
struct Look {
    ours: Ours,
    accepted: Result<bool, String>,
    old_accepted: bool,
}

enum Ours {
    Yes,
    /// A token that this run knows to be dead: the read lags.
    Lagging,
    Newer(Issued),
    /// Another token, which is not let in (yet).
    Contradicted,
    Unreadable(String),
}

/// Each order with its place in the queue, taken in their order.
async fn in_line(orders: &[Order]) -> Vec<(Order, Option<Admission>)> {
    let mut queued = Vec::with_capacity(orders.len());
    for order in orders {
        queued.push((order.clone(), order.place().await));
    }
    queued
}

impl Coordinator {
    /// Writes the chase's token to `standings` where `which` says so, all at once.
    pub(crate) async fn push(
        &self,
        standings: &mut [Standing],
        chase: &Chase,
        which: impl Fn(&Standing) -> bool,
    ) -> Vec<String> {
        let mut chosen: Vec<usize> =
            (0..standings.len()).filter(|index| which(&standings[*index])).collect();
        chosen.sort_by_key(|index| standings[*index].order.turn());
        self.parties.progress.on(&Event::FanningOut { total: chosen.len() });
        let records = std::sync::Mutex::new(Vec::new());
        let ended = {
            let orders: Vec<Order> =
                chosen.iter().map(|index| standings[*index].order.clone()).collect();
            side_by_side(
                in_line(&orders).await,
                |(order, place)| write(order, place, Arc::clone(&chase.token)),
                |index, written| {
                    let sink = orders[index].sink.as_ref();
                    let state =
                        if written.outcome.is_ok() { State::Current } else { State::Unknown };
                    self.parties.progress.on(&Event::Written { sink, state });
                    let record =
                        self.record_in_background(entry_of(&orders[index], written, chase));
                    records.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(record);
                },
                self.parties.interrupt.after(self.patience()),
            )
            .await
        };
        for (index, ended) in chosen.into_iter().zip(ended) {
            let written = ended.or(Written::panicked, Written::abandoned);
            let standing = &mut standings[index];
            standing.attempts += written.attempts;
            if let Ok(acknowledgement) = &written.outcome {
                standing.last_write = Some(LastWrite {
                    token: chase.token.fingerprint(),
                    receipt: acknowledgement.receipt.clone(),
                    at: jiff::Timestamp::now(),
                });
            }
            standing.written = Some(written);
        }
        let records = records.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut problems = Vec::new();
        for record in records {
            if let Ok(Err(problem)) = record.await {
                problems.push(problem);
            }
        }
        problems.dedup();
        problems
    }

    fn record_in_background(&self, entry: Entry) -> tokio::task::JoinHandle<Result<(), String>> {
        let (journal, run) = (Arc::clone(&self.parties.journal), self.run.clone());
        tokio::spawn(async move {
            let appended = journal.append(&run, &entry).await;
            appended.map_err(|error| format!("the journal is not complete: {error}"))
        })
    }

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
        self.parties.progress.on(&Event::Settling);
        let mut rounds = 0;
        loop {
            let (verdict, ()) = futures::future::join(
                self.verdict(chase),
                self.inspect_standings(standings, chase),
            )
            .await;
            let certainty = match verdict {
                Verdict::Certainty(certainty) => certainty,
                Verdict::Newer(issued) if rounds < MOST_ROUNDS => {
                    rounds += 1;
                    self.parties.progress.on(&Event::Superseded);
                    self.learn(&issued.token);
                    let replaced = std::mem::replace(&mut chase.token, Arc::new(issued.token));
                    chase.superseded.push(replaced.as_ref().clone());
                    standings.iter_mut().for_each(Standing::supersede);
                    warnings.push(format!(
                        "someone else reset the token during this run: {} was superseded by {}",
                        replaced.fingerprint(),
                        chase.token.fingerprint()
                    ));
                    warnings.extend(self.push(standings, chase, |_| true).await);
                    continue;
                }
                Verdict::Newer(_) => Certainty::Unknown {
                    why: "the token keeps being reset by someone else".to_owned(),
                },
            };
            if rounds < MOST_ROUNDS && standings.iter().any(Standing::was_overwritten) {
                rounds += 1;
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
        let ended = side_by_side(
            questions,
            |(sink, lane, last)| inspect(sink, lane, Arc::clone(&chase.token), last),
            |_, _| {},
            self.parties.interrupt.after(self.patience()),
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
            let abandoned = self.parties.interrupt.after(self.patience());
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
                (Look { ours: Ours::Yes, accepted: Ok(true), old_accepted: false }, over)
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
                // Not knowing is no reason to say that it is accepted.
                Some(old) => self.accepts(old).await.unwrap_or(false),
                None => false,
            }
        };
        let (current, accepted, old_accepted) =
            futures::future::join3(self.current(), self.accepts(&chase.token), old).await;
        let ours = match current {
            Err(error) => Ours::Unreadable(error.to_string()),
            Ok(issued) if issued.token == *chase.token => Ours::Yes,
            Ok(issued) if chase.superseded.contains(&issued.token) => Ours::Lagging,
            Ok(issued) => match self.accepts(&issued.token).await {
                Ok(true) => Ours::Newer(issued),
                _ => Ours::Contradicted,
            },
        };
        Look { ours, accepted: accepted.map_err(|error| error.to_string()), old_accepted }
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
    match (look.accepted, doubt) {
        (Ok(true), _) if look.old_accepted => Certainty::OldStillAccepted,
        (Ok(true), Some(why)) if in_doubt => Certainty::Unknown { why },
        (Ok(true), doubt) => Certainty::Live { doubts: doubt.into_iter().collect() },
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

fn entry_of(order: &Order, written: &Written, chase: &Chase) -> Entry {
    let (target, token) = (order.sink.id(), chase.token.fingerprint());
    match &written.outcome {
        Ok(acknowledgement) => {
            Entry::Written { target, token, receipt: acknowledgement.receipt.clone() }
        }
        Err(_) => Entry::NotWritten { target, token },
    }
}
