//! Recognises values that look like a secret, so that none stays in a file that is committed.

use serde_json::{Map, Value};

/// Prefixes that vendors give their credentials, so that scanners can find them.
const PREFIXES: [&str; 10] =
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "ASIA", "sig_", "eyJ"];

/// What stands in the place of a secret that was taken out.
const WITHHELD: &str = "(withheld)";

/// Takes every key and every string that looks like a secret out of `value`, so that no later
/// complaint can repeat it. Gives the dotted paths of where they stood.
pub(super) fn withhold(value: &mut Value, path: &str) -> Vec<String> {
    match value {
        Value::String(text) if looks_like_a_secret(text) => {
            WITHHELD.clone_into(text);
            vec![path.to_owned()]
        }
        Value::Array(items) => {
            let found: Vec<String> =
                items.iter_mut().flat_map(|item| withhold(item, path)).collect();
            found.into_iter().take(1).collect()
        }
        Value::Object(table) => withhold_in_table(table, path),
        _ => Vec::new(),
    }
}

fn withhold_in_table(table: &mut Map<String, Value>, path: &str) -> Vec<String> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut found = Vec::new();
    for (key, mut value) in std::mem::take(table) {
        let key = if looks_like_a_secret(&key) {
            found.push(below(WITHHELD));
            WITHHELD.to_owned()
        } else {
            found.extend(withhold(&mut value, &below(&key)));
            key
        };
        table.insert(key, value);
    }
    found
}

fn looks_like_a_secret(text: &str) -> bool {
    let unbroken = !text.contains([' ', '/', '.', ':']) && text.len() >= 16;
    let prefixed = PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    unbroken && prefixed || text.starts_with("Bearer ") || has_key_entropy(text)
}

/// Forty or more characters of mixed case with digits and nothing else: a key, not a name.
fn has_key_entropy(text: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '-' | '_');
    text.len() >= 40
        && text.chars().all(alphabet)
        && text.contains(|c: char| c.is_ascii_digit())
        && text.contains(|c: char| c.is_ascii_uppercase())
        && text.contains(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_seen_and_names_are_not() {
        for secret in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AKIAIOSFODNN7EXAMPLE",
            "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
            "Bearer abc",
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
        ] {
            assert!(!looks_like_a_secret(name), "{name}");
        }
    }

    #[test]
    fn the_path_is_named_and_the_value_is_gone() {
        const SECRET: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        let mut config = serde_json::json!({
            "sinks": { "ci": { "token_env": SECRET, "repositories": ["a/b", SECRET, SECRET] } },
            "upstash": { SECRET: 1 },
        });
        let places = withhold(&mut config, "");
        assert_eq!(places, ["sinks.ci.token_env", "sinks.ci.repositories", "upstash.(withheld)"]);
        assert!(!config.to_string().contains(SECRET), "{config}");
    }
}
