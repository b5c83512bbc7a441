//! Parses the pause that a server requests.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The maximum pause. A longer one would outlast every deadline of a run.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// The minimum pause. `Retry-After` has whole seconds, so 0 may mean a fraction of one; retrying at
/// once would be a loop without a pause.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// Returns the pause of the header `Retry-After`, which is in seconds or an HTTP date, limited to
/// between a second and an hour. A date is compared with the response's own `Date`, so that the
/// result does not depend on the local clock.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).clamp(MIN_PAUSE, MAX_PAUSE));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = server_time(headers).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default().clamp(MIN_PAUSE, MAX_PAUSE))
}

/// Returns the time of the response by the server's clock.
pub fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn seconds_and_dates_are_parsed() {
        let pause = |pairs| retry_after(&headers(pairs));
        assert_eq!(pause(&[("retry-after", "17")]), Some(Duration::from_secs(17)));
        assert_eq!(
            pause(&[
                ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"),
                ("date", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(pause(&[("retry-after", "999999999")]), Some(MAX_PAUSE));
        assert_eq!(pause(&[("retry-after", "soon")]), None);
        assert_eq!(pause(&[("retry-after", "-1")]), None);
        assert_eq!(pause(&[]), None);
    }

    #[test]
    fn a_pause_is_never_zero() {
        let pause = |pairs| retry_after(&headers(pairs));
        assert_eq!(pause(&[("retry-after", "0")]), Some(MIN_PAUSE));
        assert_eq!(
            pause(&[
                ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
                ("date", "Wed, 21 Oct 2015 07:28:30 GMT"),
            ]),
            Some(MIN_PAUSE)
        );
    }
}
