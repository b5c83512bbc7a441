//! Bringing the token to the sinks, and looking out meanwhile: where a provider's limit makes the
//! writes take minutes, somebody else's reset must not wait for their end.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use tokensink_core::{Issued, Token};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::coordinator::Coordinator;
use crate::fan_out::{Order, Written, write};
use crate::journal::Entry;
use crate::limiter::Admission;
use crate::run_concurrently::run_concurrently;
use crate::settle::{Ours, Standing};
use crate::{Event, State};

/// How often the sinks are written again, because somebody else wrote or reset in between.
const MAX_ROUNDS: u32 = 5;

/// The token being brought to the sinks, and the ones that it replaced in this run.
#[derive(Debug)]
pub(crate) struct Chase {
    pub(crate) token: Arc<Token>,
    /// Dead: never written again, whatever a lagging read may say.
    pub(crate) superseded: Vec<Token>,
    /// Something sent before, a reset or a write, may still take effect: nothing is believed before
    /// it has held for the settling window.
    pub(crate) in_doubt: bool,
    rounds: u32,
}

impl Chase {
    pub(crate) fn of(token: Token, superseded: Vec<Token>, in_doubt: bool) -> Self {
        Self { token: Arc::new(token), superseded, in_doubt, rounds: 0 }
    }

    /// Counts one more round, if there may be one.
    pub(crate) fn has_another_round(&mut self) -> bool {
        self.rounds += 1;
        self.rounds <= MAX_ROUNDS
    }

    /// From now on `issued` is the token. Returns what a person should know of it.
    fn follow(&mut self, issued: Issued) -> String {
        let replaced = std::mem::replace(&mut self.token, Arc::new(issued.token));
        self.superseded.push(replaced.as_ref().clone());
        format!(
            "someone else reset the token during this run: {} was superseded by {}",
            replaced.fingerprint(),
            self.token.fingerprint()
        )
    }
}

impl Coordinator {
    /// Writes the chase's token to `standings` where `which` says so, all at once; and a newer one
    /// to all of them, should it appear meanwhile. Returns warnings.
    pub(crate) async fn push(
        &self,
        standings: &mut [Standing],
        chase: &mut Chase,
        which: impl Fn(&Standing) -> bool,
    ) -> Vec<String> {
        let mut chosen: Vec<usize> =
            (0..standings.len()).filter(|index| which(&standings[*index])).collect();
        let mut warnings = Vec::new();
        loop {
            let known = Arc::clone(&chase.token);
            warnings.extend(self.push_to(standings, &mut chosen, chase).await);
            if chase.token == known {
                return warnings;
            }
            let lacks = |index: &usize| !standings[*index].was_given(&chase.token);
            chosen = (0..standings.len()).filter(lacks).collect();
            chosen.iter().for_each(|index| standings[*index].supersede());
        }
    }

    /// The chase's token is dead: `issued` goes to every sink.
    pub(crate) async fn push_newer(
        &self,
        standings: &mut [Standing],
        chase: &mut Chase,
        issued: Issued,
    ) -> Vec<String> {
        let mut warnings = vec![self.follow(chase, issued)];
        standings.iter_mut().for_each(Standing::supersede);
        warnings.extend(self.push(standings, chase, |_| true).await);
        warnings
    }

    fn follow(&self, chase: &mut Chase, issued: Issued) -> String {
        self.context.progress.on(&Event::Superseded);
        self.learn(&issued.token);
        chase.follow(issued)
    }

    async fn push_to(
        &self,
        standings: &mut [Standing],
        chosen: &mut [usize],
        chase: &mut Chase,
    ) -> Vec<String> {
        chosen.sort_by_key(|index| standings[*index].order.turn);
        self.context.progress.on(&Event::FanningOut { total: chosen.len() });
        let orders: Vec<Order> =
            chosen.iter().map(|index| standings[*index].order.clone()).collect();
        let newest = watch::Sender::new(Arc::clone(&chase.token));
        let records = Mutex::new(Vec::new());
        let record = |order: &Order, written: &Written| {
            let record = self.record_in_background(entry_of(order, written));
            records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        };
        let places = in_line(&orders).await;
        let writing = run_concurrently(
            orders.iter().cloned().zip(places),
            |(order, place)| write(order, place, newest.subscribe()),
            |index, written| {
                let (order, state) = (&orders[index], State::after(written));
                self.context.progress.on(&Event::Written { sink: order.sink.as_ref(), state });
                record(order, written);
            },
            self.context.interrupt.after(self.patience()),
        );
        let mut warnings = Vec::new();
        let ended = tokio::select! {
            biased;
            ended = writing => ended,
            never = self.look_out(chase, &newest, &mut warnings) => match never {},
        };
        let token = Arc::clone(&chase.token);
        for ((index, order), ended) in chosen.iter().zip(&orders).zip(ended) {
            let unanswered = |written: Written| {
                record(order, &written);
                written
            };
            standings[*index].note(ended.or(
                || unanswered(Written::panicked(&token)),
                || unanswered(Written::abandoned(&token)),
            ));
        }
        let records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(problems_of(records).await);
        warnings
    }

    /// Looks for a newer token until it is no longer waited for, and gives it to the writers.
    async fn look_out(
        &self,
        chase: &mut Chase,
        newest: &watch::Sender<Arc<Token>>,
        warnings: &mut Vec<String>,
    ) -> Infallible {
        loop {
            sleep(self.timing.look_out).await;
            if let Ours::Newer(issued) = self.ours(chase).await
                && chase.has_another_round()
            {
                warnings.push(self.follow(chase, issued));
                newest.send_replace(Arc::clone(&chase.token));
            }
        }
    }
}

/// A place in the queue for each order, taken in their order.
async fn in_line(orders: &[Order]) -> Vec<Option<Admission>> {
    let mut places = Vec::with_capacity(orders.len());
    for order in orders {
        places.push(order.place().await);
    }
    places
}

pub(crate) async fn problems_of(records: Vec<JoinHandle<Result<(), String>>>) -> Vec<String> {
    let mut problems = Vec::new();
    for record in records {
        if let Ok(Err(problem)) = record.await {
            problems.push(problem);
        }
    }
    problems.dedup();
    problems
}

pub(crate) fn entry_of(order: &Order, written: &Written) -> Entry {
    let (target, token) = (order.sink.info.target.clone(), written.token.fingerprint());
    match &written.outcome {
        Ok(acknowledgement) => {
            Entry::Written { target, token, receipt: acknowledgement.receipt.clone() }
        }
        Err(_) => Entry::NotWritten { target, token },
    }
}

impl State {
    /// What is known before the sink was looked at again.
    fn after(written: &Written) -> Self {
        if written.outcome.is_ok() { Self::Current } else { Self::Unknown }
    }
}
