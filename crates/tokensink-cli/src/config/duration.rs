//! Spans of time in a config: `"45s"`, `"1m 30s"`, or a number of seconds.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Number, Value};

/// The longest that makes sense anywhere; also keeps sums of them far from overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The duration that `value` means, or what is wrong with it.
pub(super) fn duration_of(value: &Value) -> Result<Duration, String> {
    let duration = match value {
        Value::Number(seconds) => from_seconds(seconds),
        // A variable's number is a text.
        Value::String(text) => match text.parse() {
            Ok(seconds) => from_seconds(&seconds),
            Err(_) => from_words(text),
        },
        _ => None,
    };
    match duration {
        None => Err("expected a time such as \"45s\", or a number of seconds".to_owned()),
        Some(duration) if duration.is_zero() || duration > LONGEST => {
            Err("expected a time between 1ms and 24h".to_owned())
        }
        Some(duration) => Ok(duration),
    }
}

fn from_seconds(seconds: &Number) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.as_f64()?).ok()
}

fn from_words(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok()
}

/// The duration that a flag means.
pub(crate) fn duration_from_flag(text: &str) -> Result<Duration, String> {
    duration_of(&Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_are_read() {
        assert_eq!(duration_of(&json!(45)), Ok(Duration::from_secs(45)));
        assert_eq!(duration_of(&json!(0.5)), Ok(Duration::from_millis(500)));
        assert_eq!(duration_of(&json!("0.5")), Ok(Duration::from_millis(500)));
        assert_eq!(duration_of(&json!("1m 30s")), Ok(Duration::from_secs(90)));
        assert_eq!(duration_of(&json!("500ms")), Ok(Duration::from_millis(500)));
        for wrong in [json!(0), json!(-1), json!("soon"), json!("-5s"), json!(true), json!("90d")] {
            assert!(duration_of(&wrong).is_err(), "{wrong}");
        }
    }
}
