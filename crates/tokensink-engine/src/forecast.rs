//! Estimates how long the sinks would be without the live token after a reset.
//!
//! The estimate uses the times measured while preparing and the providers' rate limits. Like the report,
//! it counts from sending the reset to the acknowledgement of each write.

use std::collections::BTreeMap;
use std::time::Duration;

use tokensink_core::{RateLimit, RateLimits, SharedPlace};

use crate::Report;
use crate::plan::{Plan, Prepared};
use crate::report::milliseconds;
use crate::write::priority_of;

/// The minimum number of writes for which a shared place is suggested.
const MANY_WRITES: usize = 10;

/// The expected outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The time until the last sink contains the new token.
    pub whole: Duration,
    /// The time for each sink of the plan, in its order. `None` for a sink that cannot be written.
    pub sinks: Vec<Option<Duration>>,
    /// The cause that takes longest, for messages.
    pub dominated_by: Option<String>,
    /// A way to shorten the outage.
    pub advice: Option<String>,
}

impl Plan {
    /// Returns the forecast of a reset with this plan.
    pub fn forecast(&self) -> Forecast {
        let mut queues = BTreeMap::new();
        let mut sinks = vec![None; self.prepared.len()];
        for index in self.in_write_order() {
            let until_written = until_written(&self.prepared[index], &mut queues);
            sinks[index] = until_written.map(|took| self.source_round_trip + took);
        }
        let slowest =
            sinks.iter().enumerate().filter_map(|(index, took)| Some((*took.as_ref()?, index)));
        let slowest = slowest
            .max_by_key(|(took, _)| *took)
            .map(|(took, index)| (took, &self.prepared[index]));
        let dominated_by = slowest.map(|(_, prepared)| reason(prepared, &queues));
        let advice = slowest.and_then(|(_, prepared)| advice(prepared, &self.prepared));
        Forecast {
            whole: slowest.map_or(Duration::ZERO, |(took, _)| took),
            sinks,
            dominated_by,
            advice,
        }
    }

    /// Returns the indices of the sinks in the order of their writes.
    fn in_write_order(&self) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..self.prepared.len()).collect();
        indices.sort_by_cached_key(|index| priority_of(&self.prepared[*index]));
        indices
    }
}

/// Adds the forecast to a report on the same sinks.
pub(crate) fn add_forecast(report: &mut Report, forecast: &Forecast) {
    report.forecast_ms = Some(milliseconds(forecast.whole));
    for (sink, expected) in report.sinks.iter_mut().zip(&forecast.sinks) {
        sink.forecast_ms = expected.map(milliseconds);
    }
}

/// The number of queued writes for each rate limit.
type Queues = BTreeMap<String, usize>;

/// Returns the time from the start of the fan-out to the acknowledgement.
fn until_written(prepared: &Prepared, queues: &mut Queues) -> Option<Duration> {
    let cost = prepared.preparation.as_ref().ok()?.estimate.clone();
    let takes = cost.round_trip * cost.requests;
    let Some(quota) = prepared.sink.info.rate_limits.as_ref() else { return Some(takes) };
    let before = queues.entry(quota.key.clone()).or_default();
    let position = *before;
    *before += 1;
    Some(wait(position, quota, takes) + takes)
}

/// Returns how long the write at this position of the queue waits for the rate limits.
fn wait(position: usize, quota: &RateLimits, takes: Duration) -> Duration {
    let times = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let for_others = takes.saturating_mul(times(position / quota.concurrent.max(1)));
    let for_the_limit = quota.writes.map_or(Duration::ZERO, |RateLimit { requests, per }| {
        per.saturating_mul(times(position / requests.max(1) as usize))
    });
    for_others.max(for_the_limit)
}

fn reason(prepared: &Prepared, queues: &Queues) -> String {
    let sink = &prepared.sink;
    let limited = sink.info.rate_limits.as_ref().and_then(|quota| {
        let (writes, RateLimit { requests, per }) = (*queues.get(&quota.key)?, quota.writes?);
        let kind = &sink.kind;
        (writes > requests as usize).then(|| {
            let per = time_in_words(per);
            format!("{writes} writes under a limit of {requests} in {per} ({kind})")
        })
    });
    limited.unwrap_or_else(|| format!("writing {}: {}", sink.name, sink.info.label))
}

/// Suggests a place that could replace many writes, if there is one.
fn advice(slowest: &Prepared, all: &[Prepared]) -> Option<String> {
    fn shared_place(prepared: &Prepared) -> Option<&SharedPlace> {
        prepared.preparation.as_ref().ok()?.estimate.shared_place.as_ref()
    }
    let place = shared_place(slowest)?;
    let writes = all.iter().filter(|one| shared_place(one) == Some(place)).count();
    (writes >= MANY_WRITES).then(|| {
        let SharedPlace { replaces, place } = place;
        format!("{writes} {replaces}: {place} would be 1 write instead of {writes}")
    })
}

/// Formats a duration for messages.
pub fn time_in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match time.as_millis() {
        milliseconds @ 0..1000 => return format!("{milliseconds} ms"),
        1000..120_000 => (seconds, "s"),
        _ => (seconds / 60.0, "min"),
    };
    let number = format!("{number:.1}");
    format!("{} {unit}", number.strip_suffix(".0").unwrap_or(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_suitable_unit() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1260, "1.3 s"),
            (60_000, "60 s"),
            (120_000, "2 min"),
            (150_000, "2.5 min"),
        ] {
            assert_eq!(time_in_words(Duration::from_millis(milliseconds)), text);
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn quota(concurrent: usize, writes_a_minute: Option<u32>) -> RateLimits {
        let writes = writes_a_minute.map(|requests| RateLimit { requests, per: MINUTE });
        let mut limits = RateLimits::concurrent("q", concurrent);
        limits.writes = writes;
        limits
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
