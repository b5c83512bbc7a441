//! Durations in a config: `"45s"`, `"1m 30s"`, or a number of seconds.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Number, Value};

/// The longest duration that any option accepts. It also keeps sums of durations far from overflow.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Parses the value of an option. The error says what was expected.
pub(super) fn parse_duration(value: &Value) -> Result<Duration, String> {
    let duration = match value {
        Value::Number(seconds) => from_seconds(seconds),
        // Environment variables give numbers as strings.
        Value::String(text) => match text.parse() {
            Ok(seconds) => from_seconds(&seconds),
            Err(_) => from_text(text),
        },
        _ => None,
    };
    match duration {
        None => Err("expected a duration such as \"45s\", or a number of seconds".to_owned()),
        Some(duration) if duration.is_zero() || duration > MAX_DURATION => {
            Err("expected a duration between 1ms and 24h".to_owned())
        }
        Some(duration) => Ok(duration),
    }
}

fn from_seconds(seconds: &Number) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.as_f64()?).ok()
}

fn from_text(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok()
}

/// Parses the value of a flag.
pub(crate) fn parse_duration_flag(text: &str) -> Result<Duration, String> {
    parse_duration(&Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_units_are_parsed() {
        assert_eq!(parse_duration(&json!(45)), Ok(Duration::from_secs(45)));
        assert_eq!(parse_duration(&json!(0.5)), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration(&json!("0.5")), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration(&json!("1m 30s")), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration(&json!("500ms")), Ok(Duration::from_millis(500)));
        for wrong in [json!(0), json!(-1), json!("soon"), json!("-5s"), json!(true), json!("90d")] {
            assert!(parse_duration(&wrong).is_err(), "{wrong}");
        }
    }
}
