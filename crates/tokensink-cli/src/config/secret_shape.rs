//! Recognises values that look like a secret, so that none stays in a file that is committed.

use serde_json::{Map, Value};

/// Prefixes that vendors give their credentials, so that scanners can find them.
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

/// The last words of a key that announce a secret. `secret_id` and `token_env` announce a name.
const ANNOUNCING: [&str; 5] = ["key", "password", "secret", "token", "apikey"];

/// The length of a secret access key of AWS.
const AWS_KEY_LENGTH: usize = 40;

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
        } else if announces_a_secret(&key) && value.as_str().is_some_and(is_uuid) {
            value = WITHHELD.into();
            found.push(below(&key));
            key
        } else {
            found.extend(withhold(&mut value, &below(&key)));
            key
        };
        table.insert(key, value);
    }
    found
}

fn looks_like_a_secret(text: &str) -> bool {
    let unbroken = !text.contains([' ', '/', ':']) && text.len() >= 16;
    // A web token has dots; otherwise it is a file's name.
    let whole = !text.contains('.') || text.starts_with("eyJ");
    let prefixed = PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    unbroken && whole && prefixed
        || text.starts_with("Bearer ")
        || has_key_entropy(text)
        || has_shape_of_aws(text)
}

/// Forty or more characters of mixed case with digits and nothing else: a key, not a name.
fn has_key_entropy(text: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '-' | '_');
    text.len() >= 40 && text.chars().all(alphabet) && is_mixed(text)
}

/// The same with slashes, which paths have too; but words are not that short.
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

/// An API key of Upstash is a UUID, and so are many names: what it is called decides.
fn announces_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // A key of a JSON object may be called anything.
    let last_word = key.rsplit(['_', '-']).next().unwrap_or_default();
    key != "json_key" && ANNOUNCING.contains(&last_word)
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
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

    #[test]
    fn a_uuid_is_a_secret_where_its_key_says_so() {
        const UUID: &str = "99a4c327-1d2f-4d4e-9d5e-0123456789ab";
        let mut config = serde_json::json!({
            "upstash": { "id": UUID, "api_key": UUID, "Token": UUID },
            "sinks": { "a": { "secret_id": UUID, "token_env": UUID, "json_key": UUID } },
        });
        assert_eq!(withhold(&mut config, ""), ["upstash.api_key", "upstash.Token"]);
        assert_eq!(config["upstash"]["id"], UUID);
        assert_eq!(config["upstash"]["api_key"], WITHHELD);
    }
}
