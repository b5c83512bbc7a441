//! Recognizes values that look like a secret: a config file is committed, and must not contain any.

use serde_json::{Map, Value};

/// Prefixes of vendors' credentials, which exist so that scanners can find them.
const PREFIXES: [&str; 18] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "ASIA",
    "sig_",
    "sk_live_",
    "xapp-",
    "xoxa-",
    "xoxb-",
    "xoxe-",
    "xoxp-",
    "xoxs-",
    "eyJ",
];

/// The last words of keys whose values are secrets. The values of `secret_id` and `token_env` are names.
const SECRET_KEY_WORDS: [&str; 5] = ["key", "password", "secret", "token", "apikey"];

/// The length of an AWS secret access key.
const AWS_KEY_LENGTH: usize = 40;

/// Replaces a secret.
const REDACTED: &str = "(redacted)";

/// Replaces every key and every string in `value` that looks like a secret, so that no later error can
/// quote it. Returns their dotted paths.
pub(super) fn redact(value: &mut Value, path: &str) -> Vec<String> {
    match value {
        Value::String(text) if looks_like_a_secret(text) => {
            REDACTED.clone_into(text);
            vec![path.to_owned()]
        }
        Value::Array(items) => {
            let found: Vec<String> = items.iter_mut().flat_map(|item| redact(item, path)).collect();
            found.into_iter().take(1).collect()
        }
        Value::Object(table) => redact_in_table(table, path),
        _ => Vec::new(),
    }
}

fn redact_in_table(table: &mut Map<String, Value>, path: &str) -> Vec<String> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut found = Vec::new();
    for (key, mut value) in std::mem::take(table) {
        let key = if looks_like_a_secret(&key) {
            found.push(below(REDACTED));
            REDACTED.to_owned()
        } else if is_secret_key(&key) && value.as_str().is_some_and(is_uuid) {
            value = REDACTED.into();
            found.push(below(&key));
            key
        } else {
            found.extend(redact(&mut value, &below(&key)));
            key
        };
        table.insert(key, value);
    }
    found
}

fn looks_like_a_secret(text: &str) -> bool {
    let unbroken = !text.contains([' ', '/', ':']) && text.len() >= 16;
    // A JSON web token contains dots; anything else that does is the name of a file.
    let whole = !text.contains('.') || text.starts_with("eyJ");
    let prefixed = PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    unbroken && whole && prefixed
        || text.starts_with("Bearer ")
        || has_key_entropy(text)
        || has_shape_of_aws(text)
}

/// Returns whether `text` is a key rather than a name: 40 or more characters of mixed case with digits.
fn has_key_entropy(text: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '-' | '_');
    text.len() >= 40 && text.chars().all(alphabet) && is_mixed(text)
}

/// Returns whether `text` has the shape of an AWS secret access key, which may contain slashes. So do
/// paths, but their words are longer.
fn has_shape_of_aws(text: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    text.len() == AWS_KEY_LENGTH
        && text.chars().all(alphabet)
        && is_mixed(text)
        && mean_run_of_small_letters(text) < 3.0
}

fn is_mixed(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.contains(|c: char| c.is_ascii_uppercase())
        && text.contains(|c: char| c.is_ascii_lowercase())
}

fn mean_run_of_small_letters(text: &str) -> f64 {
    let runs = text.split(|c: char| !c.is_ascii_lowercase()).filter(|run| !run.is_empty());
    let (count, letters) =
        runs.fold((0_u32, 0), |(count, letters), run| (count + 1, letters + run.len()));
    letters as f64 / f64::from(count)
}

/// Returns whether values of `key` are secrets. An API key of Upstash is a UUID, and so are many names:
/// only the key distinguishes them.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // The value of `json_key` names a key of a JSON object.
    let last_word = key.rsplit(['_', '-']).next().unwrap_or_default();
    key != "json_key" && SECRET_KEY_WORDS.contains(&last_word)
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognized_and_names_are_not() {
        for secret in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AKIAIOSFODNN7EXAMPLE",
            "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "Bearer abc",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AbC1/dEf2+GhI3/jKl4+MnO5/pQr6+StU7/vWx8+",
            "xoxb-123456789012-abcdefABCDEF",
            "glpat-aBcDeFgHiJkLmNoPqRsT",
        ] {
            assert!(looks_like_a_secret(secret), "{secret}");
        }
        for name in [
            "prod/qstash",
            "QSTASH_TOKEN",
            "ghp_",
            "eu-central-1",
            "99a4c327-1d2f-4d4e-9d5e-0123456789ab",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:Prod/QStash-Ab12Cd",
            "acme/a-repository-with-a-very-long-name-in-2026",
            "MyOrganization2/MyVeryLongRepositoryNam1",
            "Production/Services/Queue202/QstashToken",
            "prod/services/queue202/qstash/TokenValue",
            "sig_of_the_release.env",
            "xoxb-",
        ] {
            assert!(!looks_like_a_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_replaced_and_their_paths_are_returned() {
        const SECRET: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        let mut config = serde_json::json!({
            "sinks": { "ci": { "token_env": SECRET, "repositories": ["a/b", SECRET, SECRET] } },
            "upstash": { SECRET: 1 },
        });
        let places = redact(&mut config, "");
        assert_eq!(places, ["sinks.ci.token_env", "sinks.ci.repositories", "upstash.(redacted)"]);
        assert!(!config.to_string().contains(SECRET), "{config}");
    }

    #[test]
    fn a_uuid_is_a_secret_only_below_a_secret_key() {
        const UUID: &str = "99a4c327-1d2f-4d4e-9d5e-0123456789ab";
        let mut config = serde_json::json!({
            "upstash": { "id": UUID, "api_key": UUID, "Token": UUID },
            "sinks": { "a": { "secret_id": UUID, "token_env": UUID, "json_key": UUID } },
        });
        assert_eq!(redact(&mut config, ""), ["upstash.api_key", "upstash.Token"]);
        assert_eq!(config["upstash"]["id"], UUID);
        assert_eq!(config["upstash"]["api_key"], REDACTED);
    }
}
