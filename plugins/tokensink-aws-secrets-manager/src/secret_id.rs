//! The identifier of a secret: a name or an ARN.

use tokensink_core::SinkError;

/// The characters of a name, besides ASCII letters and digits
/// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html).
const PUNCTUATION: &str = "/_+=.@-";

/// The maximum lengths of a name and of an ARN.
const MAX_NAME: usize = 512;
const MAX_ARN: usize = 2048;

/// A name or an ARN from the config.
#[derive(Clone, Debug)]
pub(crate) struct SecretId {
    text: String,
    arn: Option<Arn>,
}

/// The parts of an ARN besides the secret's name.
#[derive(Clone, Debug)]
struct Arn {
    region: String,
    account: String,
}

impl SecretId {
    /// Parses a name, a complete ARN, or a partial ARN without the random characters at its end.
    pub(crate) fn parse(text: &str) -> Result<Self, SinkError> {
        let expected = |expected: &str| {
            Err(SinkError::config(format!("option `secret_id`: expected {expected}"))
                .for_option("secret_id"))
        };
        let parts: Vec<&str> = text.split(':').collect();
        if parts[0] != "arn" {
            if text.len() <= MAX_NAME && is_name(text) {
                return Ok(Self { text: text.to_owned(), arn: None });
            }
            return expected("a name of ASCII letters, digits and /_+=.@-, or an ARN");
        }
        let &[_, partition, "secretsmanager", region, account, "secret", name, ref rest @ ..] =
            parts.as_slice()
        else {
            return expected("an ARN such as arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME");
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !partition.starts_with("aws") || !is_account || !is_name(name) || text.len() > MAX_ARN {
            return expected("an ARN such as arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME");
        }
        if !rest.is_empty() {
            let suffix = text.len() - rest.join(":").len() - ":".len();
            return Err(with_suffix(&text[..suffix], rest[0]));
        }
        let arn = Arn { region: region.to_owned(), account: account.to_owned() };
        Ok(Self { text: text.to_owned(), arn: Some(arn) })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_arn(&self) -> bool {
        self.arn.is_some()
    }

    /// Returns the ARN's region.
    pub(crate) fn region(&self) -> Option<&str> {
        self.arn.as_ref().map(|arn| arn.region.as_str())
    }

    /// Returns the ARN's account.
    pub(crate) fn account(&self) -> Option<&str> {
        self.arn.as_ref().map(|arn| arn.account.as_str())
    }
}

/// Returns the error for an ARN in the form of `valueFrom` in ECS, with a JSON key, a version stage and a
/// version id at the end
/// (docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html).
fn with_suffix(arn: &str, json_key: &str) -> SinkError {
    let error = |problem: &str| SinkError::config(problem).for_option("secret_id");
    if json_key.is_empty() {
        return error("option `secret_id`: the ARN ends in a version, as ECS writes it")
            .with_help(format!("write `secret_id = \"{arn}\"`: a write becomes AWSCURRENT"));
    }
    // A JSON string is also a valid TOML string.
    let json_key = serde_json::Value::from(json_key);
    error("option `secret_id`: the ARN ends in a JSON key, as ECS writes it")
        .with_help(format!("write `secret_id = \"{arn}\"` and `json_key = {json_key}`"))
}

fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    !text.is_empty() && text.chars().all(is_allowed)
}
