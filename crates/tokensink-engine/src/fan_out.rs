//! Writes the token to all sinks concurrently and polls the source meanwhile: if a rate limit makes the
//! writes take minutes, another reset should be noticed before they end.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use tokensink_core::{Issued, Token};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::Event;
use crate::faults::{Fault, is_planted};
use crate::observe::TokenObservation;
use crate::rollout::Rollout;
use crate::run_concurrently::run_concurrently;
use crate::session::Session;
use crate::write::{WriteJob, WriteResult, write};

/// The number of interrupts that do not stop a delivery: the run finishes after the first one, and the
/// second one ends it.
pub(crate) const OUTLASTED_INTERRUPTS: u32 = 1;

impl Rollout<'_> {
    /// Writes the token to the `chosen` sinks concurrently. If a newer token appears meanwhile, it is
    /// written to all sinks.
    pub(crate) async fn write(&mut self, mut chosen: Vec<usize>) {
        loop {
            let known = Arc::clone(&self.token);
            chosen.sort_by_key(|index| self.sinks[*index].job.priority);
            self.write_chosen(&chosen).await;
            if self.token == known {
                return;
            }
            chosen = self.select(|sink| match is_planted(Fault::DeliverNewerToUnwritten) {
                true => sink.result.is_none(),
                false => !sink.was_given(&self.token),
            });
            chosen.iter().for_each(|index| self.sinks[*index].supersede());
        }
    }

    /// Writes a newer token to every sink.
    pub(crate) async fn write_newer(&mut self, issued: Issued) {
        self.supersede(issued);
        self.sinks.iter_mut().for_each(crate::rollout::SinkProgress::supersede);
        let to_some = is_planted(Fault::DeliverNewerToSome);
        self.write(self.select(|sink| !to_some || sink.inspected.is_err())).await;
    }

    async fn write_chosen(&mut self, chosen: &[usize]) {
        self.session.show(&Event::FanningOut { total: chosen.len() });
        let jobs: Vec<WriteJob> =
            chosen.iter().map(|index| self.sinks[*index].job.clone()).collect();
        let newest = watch::Sender::new(Arc::clone(&self.token));
        let writing = write_all(self.session, jobs, &newest, OUTLASTED_INTERRUPTS);
        let (results, problems) = tokio::select! {
            biased;
            done = writing => done,
            never = self.poll_for_newer(&newest) => match never {},
        };
        for (index, result) in chosen.iter().zip(results) {
            let sink = &mut self.sinks[*index];
            let warning = result.warning().map(|text| format!("{}: {text}", sink.job.sink));
            self.warnings.extend(warning);
            sink.record_result(result);
        }
        self.warnings.extend(problems);
    }

    /// Polls the source for a newer token and passes it to the writers. Never returns.
    async fn poll_for_newer(&mut self, newest: &watch::Sender<Arc<Token>>) -> Infallible {
        loop {
            sleep(self.session.timing.look_out).await;
            if let TokenObservation::Newer(issued) = self.observe().await
                && self.has_another_round()
            {
                self.supersede(issued);
                newest.send_replace(Arc::clone(&self.token));
            }
        }
    }
}

/// Runs all `jobs` concurrently and records each result. Ends early after more than `outlasted`
/// interrupts. Returns the results in the order of the jobs, and the errors of the journal.
pub(crate) async fn write_all(
    session: &Session,
    jobs: Vec<WriteJob>,
    newest: &watch::Sender<Arc<Token>>,
    outlasted: u32,
) -> (Vec<WriteResult>, Vec<String>) {
    let records = Mutex::new(Vec::new());
    let record = |job: &WriteJob, result: &WriteResult| {
        let record = session.record_in_background(result.entry(&job.sink));
        records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    };
    // The jobs queue in their order.
    let mut places = Vec::with_capacity(jobs.len());
    for job in &jobs {
        places.push(job.queue().await);
    }
    let ended = run_concurrently(
        jobs.iter().cloned().zip(places),
        |(job, place)| write(job, place, newest.subscribe()),
        |index, result: &WriteResult| {
            let job = &jobs[index];
            let (sink, state) = (job.sink.as_ref(), result.state());
            session.show(&Event::Written { sink, state });
            record(job, result);
        },
        session.context.interrupt.after(outlasted),
    )
    .await;
    let token = Arc::clone(&newest.borrow());
    let results = jobs.iter().zip(ended).map(|(job, ended)| {
        let recorded = |result: WriteResult| {
            record(job, &result);
            result
        };
        ended.or(
            || recorded(WriteResult::panicked(&token)),
            || recorded(WriteResult::abandoned(&token)),
        )
    });
    let results = results.collect();
    let records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
    (results, problems_of(records).await)
}

async fn problems_of(records: Vec<JoinHandle<Result<(), String>>>) -> Vec<String> {
    let mut problems = Vec::new();
    for record in records {
        if let Ok(Err(problem)) = record.await {
            problems.push(problem);
        }
    }
    problems.dedup();
    problems
}
