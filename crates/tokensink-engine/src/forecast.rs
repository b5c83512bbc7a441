//! How long the sinks would be without the live token, if it were reset now.
//!
//! From what preparing has measured and what providers allow. The same clock as in the report: from
//! sending the reset to the acknowledgement of each write.

use std::collections::BTreeMap;
use std::time::Duration;

use tokensink_core::Quota;

use crate::coordinator::Plan;
use crate::prepare::Prepared;

const MINUTE: Duration = Duration::from_secs(60);

/// Fewer writes than this are not worth advice.
const MANY_WRITES: usize = 10;

/// The outage to be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Until the last sink holds the new token.
    pub whole: Duration,
    /// For each sink of the plan, in its order; `None` for one that cannot be written.
    pub sinks: Vec<Option<Duration>>,
    /// What takes longest, for people.
    pub dominated_by: Option<String>,
    /// What would shorten it.
    pub advice: Option<String>,
}

impl Plan {
    /// What to expect of a reset with this plan.
    pub fn forecast(&self) -> Forecast {
        let mut queues = BTreeMap::new();
        let sinks: Vec<Option<Duration>> = self
            .prepared
            .iter()
            .map(|prepared| Some(self.issuer_round_trip + until_written(prepared, &mut queues)?))
            .collect();
        let slowest =
            sinks.iter().enumerate().filter_map(|(index, took)| Some((*took.as_ref()?, index)));
        let slowest = slowest.max().map(|(took, index)| (took, &self.prepared[index]));
        let dominated_by = slowest.map(|(_, prepared)| reason(prepared, &queues));
        let advice = slowest.and_then(|(_, prepared)| advice(prepared, &self.prepared));
        Forecast {
            whole: slowest.map_or(Duration::ZERO, |(took, _)| took),
            sinks,
            dominated_by,
            advice,
        }
    }
}

/// The writes that wait at one limit.
type Queues = BTreeMap<String, usize>;

/// From the start of the fan-out to the acknowledgement.
fn until_written(prepared: &Prepared, queues: &mut Queues) -> Option<Duration> {
    let cost = prepared.writer.as_ref().ok()?.cost();
    let takes = cost.round_trip * cost.requests;
    let Some(quota) = prepared.sink.target.quota() else { return Some(takes) };
    let before = queues.entry(quota.key.clone()).or_default();
    let position = *before;
    *before += 1;
    Some(wait(position, &quota, takes) + takes)
}

/// How long the write at this position waits until it is let in.
fn wait(position: usize, quota: &Quota, takes: Duration) -> Duration {
    let times = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let for_others = takes.saturating_mul(times(position / quota.concurrent.max(1)));
    let allowed = quota.writes_per_minute.map(|writes| writes.max(1) as usize);
    let for_the_limit =
        allowed.map_or(Duration::ZERO, |allowed| MINUTE.saturating_mul(times(position / allowed)));
    for_others.max(for_the_limit)
}

fn reason(prepared: &Prepared, queues: &Queues) -> String {
    let sink = &prepared.sink;
    let limited = sink.target.quota().and_then(|quota| {
        let (writes, allowed) = (*queues.get(&quota.key)?, quota.writes_per_minute?);
        (writes > allowed as usize)
            .then(|| format!("{writes} writes under a limit of {allowed} a minute ({})", sink.kind))
    });
    limited.unwrap_or_else(|| format!("the round trip to {} ({})", sink.name, sink.target))
}

/// One table that names many places may have a place that all of them share.
fn advice(slowest: &Prepared, all: &[Prepared]) -> Option<String> {
    let name = &slowest.sink.name;
    let writes = all.iter().filter(|other| other.sink.name == *name).count();
    (writes >= MANY_WRITES).then(|| {
        format!(
            "[sinks.{name}] takes {writes} writes: one place that all of them share, such as an \
             organization's secret, would be 1 write instead of {writes}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(concurrent: usize, writes_per_minute: Option<u32>) -> Quota {
        Quota { key: "q".to_owned(), concurrent, writes_per_minute }
    }

    #[test]
    fn a_limit_makes_later_writes_wait() {
        let takes = Duration::from_millis(50);
        let free = quota(100, None);
        assert_eq!(wait(99, &free, takes), Duration::ZERO);
        assert_eq!(wait(100, &free, takes), takes);
        let limited = quota(100, Some(80));
        assert_eq!(wait(79, &limited, takes), Duration::ZERO);
        assert_eq!(wait(80, &limited, takes), MINUTE);
        assert_eq!(wait(161, &limited, takes), MINUTE * 2);
    }
}
