//! Recognizes stored values that should not be replaced without the user's consent.

use serde_json::Value;

use crate::trimmed;

/// The prefix of every QStash token seen so far: base64 of `{"UserID":` (upstash.com/docs/qstash,
/// local development).
const TOKEN_PREFIX: &str = "eyJVc2VySUQiOi";

/// Prefixes of references, which ordinary values do not have: of AWS Secrets Manager in several tools,
/// of Azure App Service and Container Apps (learn.microsoft.com/azure), of ansible-vault in YAML.
const REFERENCE_PREFIXES: [&str; 7] = [
    "secretsmanager:",
    "ssm:/",
    "@Microsoft.KeyVault(",
    "@Microsoft.AppConfiguration(",
    "keyvaultref:",
    "secretref:",
    "!vault ",
];

/// Prefixes of encrypted values, each with the tool that writes it.
const ENCRYPTED_PREFIXES: [(&str, &str); 3] = [
    ("$ANSIBLE_VAULT;", "ansible-vault"),
    ("-----BEGIN PGP MESSAGE", "PGP"),
    ("-----BEGIN AGE ENCRYPTED FILE", "age"),
];

/// The prefixes of an AWS KMS ciphertext in base64, and a lower bound of its length: the header alone
/// has more than 100 bytes.
const KMS_PREFIXES: [&str; 2] = ["AQICAH", "AQECAH"];
const MIN_KMS_LENGTH: usize = 120;

/// The apparent kind of a stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredValue {
    /// An empty value, or only blanks.
    Empty,
    /// A value of one line that may be replaced.
    Plain,
    /// The name of a place that contains the value: `op://vault/item`, `${OTHER}`, `vault:path#key`.
    Reference,
    /// A command whose output is the value: `$(cat file)`, backticks.
    Command,
    /// A value that was encrypted by the named tool.
    Encrypted(&'static str),
    /// A JSON object, with its keys, or a JSON array, without keys.
    Json(Vec<String>),
    /// A text that begins like JSON and cannot be parsed.
    DamagedJson,
    /// A text of several lines.
    Multiline,
}

impl StoredValue {
    /// Recognizes `value`.
    pub fn of(value: &str) -> Self {
        let value = trimmed(value);
        if value.is_empty() {
            return Self::Empty;
        }
        if let Some(tool) = encryption_tool(value) {
            return Self::Encrypted(tool);
        }
        // No token begins so. What cannot be parsed may be a whole document all the same.
        let resembles_json = value.starts_with(['{', '[']);
        if resembles_json {
            match serde_json::from_str(value) {
                Ok(Value::Object(object)) => return Self::Json(object.keys().cloned().collect()),
                Ok(Value::Array(_)) => return Self::Json(Vec::new()),
                _ => {}
            }
        }
        let has_several_lines = value.contains(['\n', '\r']);
        if !has_several_lines && is_command(value) {
            return Self::Command;
        }
        if !has_several_lines && is_reference(value) {
            return Self::Reference;
        }
        if resembles_json {
            return Self::DamagedJson;
        }
        if has_several_lines {
            return Self::Multiline;
        }
        Self::Plain
    }

    /// Returns a noun phrase for a value that must not be replaced, or `None` if it may be replaced.
    pub fn obstacle(&self) -> Option<String> {
        Some(match self {
            Self::Empty | Self::Plain => return None,
            Self::Reference => "a reference to another place".to_owned(),
            Self::Command => "a command".to_owned(),
            Self::Encrypted(tool) => format!("a value encrypted by {tool}"),
            Self::Json(keys) if keys.is_empty() => "a JSON document".to_owned(),
            Self::Json(keys) => format!("a JSON document with the keys {}", keys.join(", ")),
            Self::DamagedJson => "damaged JSON".to_owned(),
            Self::Multiline => "a text of several lines".to_owned(),
        })
    }
}

/// Returns whether `value` has the form of a QStash token. It may still be something else.
pub fn has_token_form(value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+/=_.-".contains(c);
    value.starts_with(TOKEN_PREFIX) && value.chars().all(allowed)
}

/// Returns the tool that encrypted `value`, if it has the form of an encrypted value.
fn encryption_tool(value: &str) -> Option<&'static str> {
    if let Some((_, tool)) = ENCRYPTED_PREFIXES.iter().find(|(at, _)| value.starts_with(at)) {
        return Some(tool);
    }
    let is_base64 = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
    };
    if value.strip_prefix("encrypted:").is_some_and(is_base64) {
        return Some("dotenvx");
    }
    if let Some(parts) = value.strip_prefix("ENC[").and_then(|rest| rest.strip_suffix(']')) {
        match parts.split_once(',') {
            Some(("PKCS7" | "GPG", _)) => return Some("hiera-eyaml"),
            Some((algorithm, _)) if algorithm.starts_with("AES") => return Some("sops"),
            _ => {}
        }
    }
    let has_kms_prefix = KMS_PREFIXES.iter().any(|prefix| value.starts_with(prefix));
    (has_kms_prefix && value.len() >= MIN_KMS_LENGTH && is_base64(value)).then_some("AWS KMS")
}

/// Returns whether a shell would run `value`. Dollar signs, parentheses and backticks are common in
/// passwords, so the enclosed text must also look like a command.
fn is_command(value: &str) -> bool {
    let is_whole = [("$(", ")"), ("`", "`")].iter().any(|(open, close)| {
        let inner = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| begins_like_command(inner) && !inner.contains('`'))
    });
    is_whole || enclosed(value, "$(", ")").chain(enclosed(value, "`", "`")).any(has_argument)
}

/// Returns whether `inner` begins like the name or path of a program, or like the redirection in
/// `$(<file)`.
fn begins_like_command(inner: &str) -> bool {
    inner.trim_start().starts_with(|c: char| c.is_ascii_alphabetic() || "_./<".contains(c))
}

fn has_argument(inner: &str) -> bool {
    begins_like_command(inner) && inner.trim().contains([' ', '\t', '/'])
}

/// Returns whether `value` is the name of a place that contains the actual value.
fn is_reference(value: &str) -> bool {
    let is_template = [("{{", "}}"), ("<%", "%>")]
        .iter()
        .any(|(open, close)| enclosed(value, open, close).next().is_some());
    is_template
        || enclosed(value, "${", "}").any(begins_like_variable)
        || is_variable(value)
        || is_url(value)
        || is_vault_path(value)
        || is_arn(value)
        || is_google_secret(value)
        || is_azure_injected(value)
        || REFERENCE_PREFIXES.iter().any(|prefix| value.starts_with(prefix))
}

/// Returns the texts between each `open` and the next `close`.
fn enclosed<'a>(value: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    value.match_indices(open).filter_map(move |(at, _)| {
        let rest = &value[at + open.len()..];
        rest.find(close).map(|end| &rest[..end])
    })
}

/// Returns whether `inner` begins like the text in braces after a dollar sign: `NAME`,
/// `NAME:-default`, `ssm:/path`.
fn begins_like_variable(inner: &str) -> bool {
    let inner = inner.trim_start();
    let name = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').count();
    inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && inner[name..].chars().next().is_none_or(|next| ":-?+=.@ ,^%/".contains(next))
}

/// Returns whether the whole value is `$NAME` in upper case, like the names of environment variables.
/// In lower case it is more likely a password, such as `$ecret`.
fn is_variable(value: &str) -> bool {
    value.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// Recognizes `vault:PATH#KEY` (bank-vaults.dev).
fn is_vault_path(value: &str) -> bool {
    let path = value.strip_prefix("vault:").or_else(|| value.strip_prefix(">>vault:"));
    path.and_then(|path| path.split_once('#'))
        .is_some_and(|(path, key)| !path.is_empty() && !key.is_empty())
}

/// Recognizes `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn is_arn(value: &str) -> bool {
    value.starts_with("arn:aws") && value.split(':').count() >= 6
}

/// Recognizes `projects/PROJECT/secrets/SECRET`, with or without a version.
fn is_google_secret(value: &str) -> bool {
    let parts: Vec<&str> = value.split('/').collect();
    matches!(
        parts.as_slice(),
        ["projects", _, "secrets", _] | ["projects", _, "secrets", _, "versions", _]
    )
}

/// Recognizes `NAME@azurekeyvault`, with or without a query (akv2k8s.io).
fn is_azure_injected(value: &str) -> bool {
    value
        .split_once("@azurekeyvault")
        .is_some_and(|(name, rest)| !name.is_empty() && (rest.is_empty() || rest.starts_with('?')))
}

/// Recognizes `SCHEME:REST` if the rest begins with two slashes, as in `op://` and `ref+awsssm://`.
fn is_url(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    scheme.len() > 1
        && !rest.is_empty()
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("{\"a\":1", StoredValue::DamagedJson),
            ("{\"a\":1,}", StoredValue::DamagedJson),
            ("{'a': 1}", StoredValue::DamagedJson),
            ("{\"a\":1} x", StoredValue::DamagedJson),
            ("{\n  \"a\": 1,\n}", StoredValue::DamagedJson),
            ("[draft", StoredValue::DamagedJson),
            ("{not json}", StoredValue::DamagedJson),
            ("\u{feff}{\"a\":1}", StoredValue::Json(vec!["a".to_owned()])),
            ("{{ op://dev/q/t }} x", StoredValue::Reference),
            ("one\ntwo", StoredValue::Multiline),
            ("one\r\ntwo", StoredValue::Multiline),
            ("$(</run/secrets/q)", StoredValue::Command),
            ("Bearer $(cat /run/secrets/q)", StoredValue::Command),
            ("x`cat q`", StoredValue::Command),
            ("https://${HOST}/q", StoredValue::Reference),
            ("${ssm:/prod/qstash}", StoredValue::Reference),
            ("${{ secrets.QSTASH_TOKEN }}", StoredValue::Reference),
            ("<%= ENV['Q'] %>", StoredValue::Reference),
            ("$QSTASH_TOKEN", StoredValue::Reference),
            ("ssm:/prod/qstash", StoredValue::Reference),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:q-aBcDeF", StoredValue::Reference),
            ("projects/p/secrets/q", StoredValue::Reference),
            ("projects/p/secrets/q/versions/latest", StoredValue::Reference),
            ("@Microsoft.KeyVault(SecretUri=x)", StoredValue::Reference),
            ("keyvaultref:https://v.vault.azure.net/q", StoredValue::Reference),
            ("q@azurekeyvault?token", StoredValue::Reference),
            ("!vault |", StoredValue::Reference),
            ("ENC[PKCS7,MIIB]", StoredValue::Encrypted("hiera-eyaml")),
        ] {
            assert_eq!(StoredValue::of(value), expected, "{value}");
        }
    }

    #[test]
    fn passwords_that_resemble_other_values_are_plain() {
        for value in [
            "secret:hunter2",
            "projects/apollo",
            "projects/a/b/c",
            "vault:hunter2",
            "vault:#1",
            "ssm:x",
            "AQICAHx4",
            "ENC[x]",
            "encrypted:not base64!",
            "arn:aws",
            "$ecret",
            "pa$$word",
            "pa$WORD",
            "$1",
            "a$(b)c",
            "$(%)",
            "a`b`c",
            "`",
            "``",
            "a${%}",
            "${}",
            "a{b}c}}{{",
            "#hash",
            "a #b",
            "a://",
            "x://y",
            "me@azurekeyvaults",
        ] {
            assert_eq!(StoredValue::of(value), StoredValue::Plain, "{value}");
        }
    }

    fn reference() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{2,6}(\\+[a-z]{2,6})?://[a-zA-Z0-9/._-]{1,20}",
            "[a-z]{0,4}\\$\\{[A-Za-z_][A-Za-z0-9_]{0,8}(:?[-+?][a-z]{0,4})?\\}[a-z]{0,4}",
            "\\$[A-Z_][A-Z0-9_]{0,8}",
            "(>>)?vault:[a-z/]{1,12}#[a-z]{1,4}",
            "[a-z]{0,4}\\{\\{ ?[a-z.]{1,9} ?\\}\\}",
            "arn:aws(-cn|-us-gov)?:[a-z]{1,9}:[a-z0-9-]{0,9}:[0-9]{0,12}:[a-z/]{1,9}",
            "projects/[a-z]{1,9}/secrets/[a-z]{1,9}(/versions/[0-9]{1,3})?",
        ]
    }

    fn command() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\$\\([a-z]{1,9}( [a-z/.-]{1,9})?\\)",
            "`[a-z]{1,9}( [a-z/.-]{1,9})?`",
            "[a-z]{1,9}\\$\\([a-z]{1,9} [a-z/.-]{1,9}\\)[a-z]{0,4}",
            "[a-z]{1,9}`[a-z]{1,9} [a-z/.-]{1,9}`[a-z]{0,4}",
        ]
    }

    fn encrypted() -> impl Strategy<Value = String> {
        prop_oneof![
            "encrypted:[A-Za-z0-9+/]{1,80}={0,2}",
            "ENC\\[(AES256_GCM|PKCS7),[ -Z^-~]{1,80}\\]",
            "\\$ANSIBLE_VAULT;1\\.[12];AES256\n[0-9a-f]{1,80}",
            "AQ[IE]CAH[A-Za-z0-9+/]{114,200}={0,2}",
        ]
    }

    proptest! {
        #[test]
        fn passwords_with_special_characters_are_plain(
            value in "[A-Za-z0-9][A-Za-z0-9#$`!%^&*()_+=.,;?~|-]{0,40}",
        ) {
            prop_assert_eq!(StoredValue::of(&value), StoredValue::Plain);
        }

        #[test]
        fn values_with_the_form_of_a_token_are_plain(rest in "[A-Za-z0-9+/=_.-]{0,80}") {
            let token = format!("{TOKEN_PREFIX}{rest}");
            prop_assert!(has_token_form(&token));
            prop_assert_eq!(StoredValue::of(&token), StoredValue::Plain);
        }

        #[test]
        fn references_are_recognized(value in reference(), blanks in "[ \t]{0,2}") {
            let value = format!("{blanks}{value}{blanks}");
            prop_assert_eq!(StoredValue::of(&value), StoredValue::Reference);
        }

        #[test]
        fn commands_are_recognized(value in command()) {
            prop_assert_eq!(StoredValue::of(&value), StoredValue::Command);
        }

        #[test]
        fn encrypted_values_are_recognized(value in encrypted()) {
            let found = StoredValue::of(&value);
            prop_assert!(matches!(found, StoredValue::Encrypted(_)), "{:?}", found);
        }

        #[test]
        fn json_objects_are_recognized_with_their_keys(
            object in proptest::collection::btree_map("[ -~]{0,9}", "[ -~\n]{0,9}", 0..4),
            is_pretty in any::<bool>(),
        ) {
            let text = if is_pretty {
                serde_json::to_string_pretty(&object)
            } else {
                serde_json::to_string(&object)
            };
            let keys: Vec<String> = object.into_keys().collect();
            prop_assert_eq!(StoredValue::of(&text.unwrap()), StoredValue::Json(keys));
        }

        #[test]
        fn json_that_lost_a_part_is_recognized(
            object in proptest::collection::btree_map("[a-z]{1,9}", "[a-zA-Z0-9+/=_.-]{0,40}", 1..4),
            is_list in any::<bool>(),
            is_pretty in any::<bool>(),
            cut in any::<proptest::sample::Index>(),
            is_open_end in any::<bool>(),
        ) {
            let value: Value = object.into_iter().collect();
            let value = if is_list { Value::Array(vec![value]) } else { value };
            let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
            let at = 1 + cut.index(text.len() - 1);
            // The end is missing, or one character further in.
            let damaged = if is_open_end {
                text[..at].to_owned()
            } else {
                format!("{}{}", &text[..at], &text[at + 1..])
            };
            let is_still_json = serde_json::from_str::<Value>(&damaged).is_ok();
            let found = StoredValue::of(&damaged);
            prop_assert_eq!(found == StoredValue::DamagedJson, !is_still_json);
            prop_assert!(found.obstacle().is_some());
        }

        #[test]
        fn several_lines_are_recognized(
            one in "[a-z]{1,9}", end in "\r?\n|\r", two in "[ -~]{0,9}[a-z]",
        ) {
            prop_assert_eq!(StoredValue::of(&format!("{one}{end}{two}")), StoredValue::Multiline);
        }

        #[test]
        fn no_text_causes_a_panic(value in ".*|[$`(){}<%>#:/!\\[ a-zA\u{e4}]{0,40}") {
            let found = StoredValue::of(&value);
            let is_plain = matches!(found, StoredValue::Plain | StoredValue::Empty);
            prop_assert_eq!(found.obstacle().is_none(), is_plain);
        }
    }

    #[test]
    fn the_form_of_a_token_is_recognized() {
        assert!(has_token_form("eyJVc2VySUQiOiJhIiwiUGFzc3dvcmQiOiJiIn0="));
        assert!(!has_token_form("eyJVc2VySUQiOiJ with a blank"));
        assert!(!has_token_form("changeme"));
    }
}
