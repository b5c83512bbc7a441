//! How long a server asks its clients to wait.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest pause that is believed. A server that asks for more is telling us to give up.
const LONGEST: Duration = Duration::from_secs(3600);

/// The pause that `Retry-After` asks for, in seconds or as an HTTP date. A date is compared with
/// the answer's own `Date`, so that a wrong local clock does no harm.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = server_time(headers).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default().min(LONGEST))
}

/// When the server answered, by its own clock.
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
    fn both_spellings_are_understood() {
        let pause = |pairs| retry_after(&headers(pairs));
        assert_eq!(pause(&[("retry-after", "17")]), Some(Duration::from_secs(17)));
        assert_eq!(
            pause(&[
                ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"),
                ("date", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(pause(&[("retry-after", "999999999")]), Some(LONGEST));
        assert_eq!(pause(&[("retry-after", "soon")]), None);
        assert_eq!(pause(&[]), None);
    }
}
