//! Reads the AWS settings of the environment and rejects values that are not usable in a request.
//!
//! The SDK would report such a value only when it signs, with an error about a header that does not name
//! the variable.

use aws_sdk_secretsmanager::config::Credentials;
use tokensink_core::{Environment, SinkError, request_value_problem};

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(crate) const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
pub(crate) const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const PROFILE: &str = "AWS_PROFILE";

/// Returns an error for each variable that is not usable. A table with a profile uses none of them.
pub(crate) fn check(environment: &Environment, profile: Option<&str>) -> Vec<SinkError> {
    if profile.is_some() {
        return Vec::new();
    }
    let keys = [ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN];
    let of_keys = keys.iter().filter_map(|name| {
        let value = environment.setting(name)?;
        let problem = request_value_problem(value)
            .or((!value.is_ascii()).then_some("it contains a character outside ASCII"))?;
        Some(unusable(name, problem))
    });
    // The name of a profile may contain a blank.
    let profile = environment.setting(PROFILE).filter(|name| name.contains(char::is_control));
    let of_profile = profile.map(|_| unusable(PROFILE, "it contains a control character"));
    of_keys.chain(of_profile).collect()
}

/// Returns the keys in the environment, if it contains both.
pub(crate) fn keys(environment: &Environment) -> Option<Credentials> {
    let text = |name| environment.setting(name).map(str::to_owned);
    let (id, secret) = (text(ACCESS_KEY_ID)?, text(SECRET_ACCESS_KEY)?);
    Some(Credentials::new(id, secret, text(SESSION_TOKEN), None, "environment"))
}

/// Returns the profile in the environment.
pub(crate) fn profile(environment: &Environment) -> Option<&str> {
    environment.setting(PROFILE)
}

fn unusable(variable: &str, problem: &str) -> SinkError {
    SinkError::config(format!("the variable {variable} cannot be used: {problem}"))
        .with_help(format!("set {variable} to the value alone"))
}
