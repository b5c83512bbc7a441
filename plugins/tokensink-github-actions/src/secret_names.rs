//! Finds out whether a secret exists, and suggests a similar existing name.

use std::cmp::Reverse;

use serde::Deserialize;
use tokensink_core::SinkError;

use crate::api::Api;

const PAGE: usize = 100;

/// An organization has at most 1,000 secrets
/// (docs.github.com/actions/reference/secrets-reference).
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    secrets: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Returns the names of the secrets at `secrets_path`.
pub(crate) async fn list(api: &Api, secrets_path: &str) -> Result<Vec<String>, SinkError> {
    let mut names = Vec::new();
    for number in 1..=MAX_PAGES {
        let path = format!("{secrets_path}?per_page={PAGE}&page={number}");
        let page: Page = api.read(&path, "list the names of the secrets").await?;
        let is_last = page.secrets.len() < PAGE;
        names.extend(page.secrets.into_iter().map(|secret| secret.name));
        if is_last || names.len() >= page.total_count {
            break;
        }
    }
    Ok(names)
}

/// Returns whether `names` contains the secret. GitHub ignores letter case.
pub(crate) fn contains(names: &[String], secret: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(secret))
}

/// Returns the existing name that is spelled most like `secret`, if it differs only slightly.
pub(crate) fn similar<'a>(names: &'a [String], secret: &str) -> Option<&'a str> {
    let secret = secret.to_uppercase();
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&secret, &name.to_uppercase()), name.as_str()))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(secret.len()) / 4)
        .min_by_key(|(distance, name)| (*distance, Reverse(name.len())))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_typing_error_is_similar_and_another_word_is_not() {
        let names = ["QSTASH_TOKENS", "AWS_ACCESS_KEY", "NPM_TOKEN"].map(str::to_owned);
        for (secret, expected) in [
            ("QSTASH_TOKEN", Some("QSTASH_TOKENS")),
            ("qstash_tokne", Some("QSTASH_TOKENS")),
            ("NPM_TOKNE", Some("NPM_TOKEN")),
            ("UPSTASH_URL", None),
            ("T", None),
        ] {
            assert_eq!(similar(&names, secret), expected, "{secret}");
        }
    }
}
