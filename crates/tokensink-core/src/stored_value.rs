//! What a stored value seems to be: a token, or something that must not be replaced unseen.

use serde_json::Value;

/// How every QStash token that was seen begins: base64 of `{"UserID":` (upstash.com/docs/qstash,
/// local development).
const TOKEN_PREFIX: &str = "eyJVc2VySUQiOi";

/// Prefixes of references that are not URLs.
const REFERENCE_PREFIXES: [&str; 10] = [
    "vault:",
    "ssm:",
    "secretsmanager:",
    "arn:aws",
    "azurekv:",
    "keyvault:",
    "@Microsoft.KeyVault(",
    "projects/",
    "!vault",
    "secret:",
];

/// Prefixes of encrypted values, and the tool that writes them.
const ENCRYPTED_PREFIXES: [(&str, &str); 6] = [
    ("encrypted:", "dotenvx"),
    ("ENC[", "sops"),
    ("$ANSIBLE_VAULT;", "ansible-vault"),
    ("-----BEGIN PGP MESSAGE", "PGP"),
    ("-----BEGIN AGE ENCRYPTED FILE", "age"),
    ("AQICAH", "AWS KMS"),
];

/// What a stored value seems to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredValue {
    /// Nothing, or only blanks.
    Empty,
    /// A value of one line that may be replaced.
    Plain,
    /// Names a place that holds the value: `op://vault/item`, `${OTHER}`, `vault:path#key`.
    Reference,
    /// Is run to get the value: `$(cat file)`, backticks.
    Command,
    /// Was encrypted by the named tool.
    Encrypted(&'static str),
    /// A JSON object, with its keys, or a JSON array, without any.
    Json(Vec<String>),
    /// Several lines.
    Multiline,
}

impl StoredValue {
    /// Recognizes `value`.
    pub fn of(value: &str) -> Self {
        let value = value.trim();
        if value.is_empty() {
            return Self::Empty;
        }
        if let Some((_, tool)) = ENCRYPTED_PREFIXES.iter().find(|(at, _)| value.starts_with(at)) {
            return Self::Encrypted(tool);
        }
        if value.starts_with(['{', '[']) {
            match serde_json::from_str(value) {
                Ok(Value::Object(object)) => return Self::Json(object.keys().cloned().collect()),
                Ok(Value::Array(_)) => return Self::Json(Vec::new()),
                _ => {}
            }
        }
        if value.contains('\n') {
            return Self::Multiline;
        }
        if contains_pair(value, "$(", ")") || contains_pair(value, "`", "`") {
            return Self::Command;
        }
        let is_template = [("{{", "}}"), ("<%", "%>"), ("${", "}")]
            .iter()
            .any(|(open, close)| contains_pair(value, open, close));
        if is_template || is_variable(value) || is_url(value) {
            return Self::Reference;
        }
        if REFERENCE_PREFIXES.iter().any(|prefix| value.starts_with(prefix)) {
            return Self::Reference;
        }
        Self::Plain
    }

    /// Names what must not be replaced, as a noun phrase; `None` for a value that may be.
    pub fn obstacle(&self) -> Option<String> {
        Some(match self {
            Self::Empty | Self::Plain => return None,
            Self::Reference => "a reference to another place".to_owned(),
            Self::Command => "a command".to_owned(),
            Self::Encrypted(tool) => format!("a value encrypted by {tool}"),
            Self::Json(keys) if keys.is_empty() => "a JSON document".to_owned(),
            Self::Json(keys) => format!("a JSON document with the keys {}", keys.join(", ")),
            Self::Multiline => "a text of several lines".to_owned(),
        })
    }
}

/// Whether `value` has the form of a QStash token. Says nothing about whether it is one.
pub fn has_token_form(value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+/=_.-".contains(c);
    value.starts_with(TOKEN_PREFIX) && value.chars().all(allowed)
}

/// Whether `open` is in `value`, and `close` after it. One alone is part of an ordinary value.
fn contains_pair(value: &str, open: &str, close: &str) -> bool {
    value.split_once(open).is_some_and(|(_, rest)| rest.contains(close))
}

/// Whether the whole value is `$NAME`. A dollar sign inside a value is ordinary in a password.
fn is_variable(value: &str) -> bool {
    value.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// `SCHEME:REST` where the rest begins with two slashes, as in `op://` and `ref+awsssm://`.
fn is_url(value: &str) -> bool {
    let Some((scheme, _)) = value.split_once("://") else { return false };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_recognized() {
        for (value, expected) in [
            ("", StoredValue::Empty),
            ("eyJVc2VySUQiOiJhIn0=", StoredValue::Plain),
            ("changeme", StoredValue::Plain),
            ("op://dev/qstash/token", StoredValue::Reference),
            ("ref+awsssm://prod/qstash", StoredValue::Reference),
            ("${UPSTASH_TOKEN}", StoredValue::Reference),
            ("${QSTASH_TOKEN:-x}", StoredValue::Reference),
            ("vault:secret/data/q#k", StoredValue::Reference),
            ("{{ op://dev/q/t }}", StoredValue::Reference),
            ("$(cat /run/secrets/q)", StoredValue::Command),
            ("`cat q`", StoredValue::Command),
            ("encrypted:BDqDBibm", StoredValue::Encrypted("dotenvx")),
            ("ENC[AES256_GCM,data:x]", StoredValue::Encrypted("sops")),
            (r#"{"a":1,"b":{}}"#, StoredValue::Json(vec!["a".to_owned(), "b".to_owned()])),
            ("[1]", StoredValue::Json(Vec::new())),
            ("one\ntwo", StoredValue::Multiline),
        ] {
            assert_eq!(StoredValue::of(value), expected, "{value}");
        }
    }

    #[test]
    fn the_form_of_a_token_is_recognized() {
        assert!(has_token_form("eyJVc2VySUQiOiJhIiwiUGFzc3dvcmQiOiJiIn0="));
        assert!(!has_token_form("eyJVc2VySUQiOiJ with a blank"));
        assert!(!has_token_form("changeme"));
    }
}
