//! Reads the AWS settings of the environment, trims them, and rejects values that are not usable in a
//! request.
//!
//! The SDK would report such a value only when it signs, with an error about a header that does not name
//! the variable.

use aws_sdk_secretsmanager::config::Credentials;
use tokensink_core::{Environment, SinkError};

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(crate) const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
pub(crate) const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const PROFILE: &str = "AWS_PROFILE";

/// Returns the value of `variable` without surrounding blanks and line ends.
pub(crate) fn setting<'a>(environment: &'a Environment, variable: &str) -> Option<&'a str> {
    environment.setting(variable).map(str::trim)
}

/// Returns an error for each variable that is not usable. A table with a profile uses none of them.
pub(crate) fn check(environment: &Environment, profile: Option<&str>) -> Vec<SinkError> {
    if profile.is_some() {
        return Vec::new();
    }
    let keys = [ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN];
    let of_keys =
        keys.iter().filter_map(|name| invalid_value(environment, name, char::is_whitespace));
    // The name of a profile may contain a blank.
    of_keys.chain(invalid_value(environment, PROFILE, char::is_control)).collect()
}

/// Returns the keys in the environment, if it contains both.
pub(crate) fn keys(environment: &Environment) -> Option<Credentials> {
    let text = |name| setting(environment, name).map(str::to_owned);
    let (id, secret) = (text(ACCESS_KEY_ID)?, text(SECRET_ACCESS_KEY)?);
    Some(Credentials::new(id, secret, text(SESSION_TOKEN), None, "environment"))
}

/// Returns the profile in the environment.
pub(crate) fn profile(environment: &Environment) -> Option<&str> {
    setting(environment, PROFILE)
}

fn invalid_value(
    environment: &Environment,
    variable: &str,
    is_refused: impl Fn(char) -> bool,
) -> Option<SinkError> {
    let value = setting(environment, variable)?;
    let what = value.chars().find_map(|c| match c {
        '\r' | '\n' => Some("a line break"),
        c if c.is_control() => Some("a control character"),
        c if !c.is_ascii() && variable != PROFILE => Some("a character outside ASCII"),
        c => is_refused(c).then_some("a blank"),
    })?;
    let problem = format!("the variable {variable}: its value contains {what}");
    Some(SinkError::config(problem).with_help(format!("set {variable} again, without it")))
}
