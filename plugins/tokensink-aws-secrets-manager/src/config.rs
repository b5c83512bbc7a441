//! What a table of kind `aws-secrets-manager` may hold.

use schemars::JsonSchema;
use serde::Deserialize;
use tokensink_core::{BuildContext, Environment, SinkConfig, SinkError};

use crate::AwsSink;
use crate::client::Account;
use crate::endpoint::Endpoint;
use crate::value::Shape;

/// The variables that every AWS tool takes a region from, the first one first.
const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// `[sinks.NAME]` with `kind = "aws-secrets-manager"`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AwsSecretsManagerConfig {
    /// the secret's name or ARN
    secret_id: String,
    /// the key of a JSON secret that holds the token; the whole value unless given
    #[serde(default)]
    json_key: Option<String>,
    /// several keys that hold the same token
    #[serde(default)]
    json_keys: Option<Vec<String>>,
    /// the region; the ARN's, the profile's or the environment's unless given
    #[serde(default)]
    region: Option<String>,
    /// the profile of ~/.aws whose credentials are used
    #[serde(default)]
    profile: Option<String>,
    /// another endpoint, such as a stand-in on loopback
    #[serde(default)]
    endpoint_url: Option<String>,
    /// add keys, or make the secret, where they are not there yet
    #[serde(default)]
    create: bool,
}

impl SinkConfig for AwsSecretsManagerConfig {
    const KIND: &'static str = "aws-secrets-manager";
    const SUMMARY: &'static str = "a secret of AWS Secrets Manager, or keys of a JSON secret";
    const PERMISSIONS: &'static str = "\
secretsmanager:DescribeSecret
secretsmanager:PutSecretValue
secretsmanager:GetSecretValue (for JSON keys; else it makes the proof stronger)
secretsmanager:CreateSecret (with `create`, where the secret is missing)
with a key of your own also kms:GenerateDataKey and kms:Decrypt";
    const TAKES_EFFECT: &'static str =
        "at the application's next read: ECS reads when a task starts, caches after up to an hour";
    const EXAMPLE: &'static str =
        "secret_id = \"prod/qstash\"\njson_key = \"QSTASH_TOKEN\"\nregion = \"eu-central-1\"";
    type Sink = AwsSink;

    fn build(self, context: &BuildContext) -> Result<Vec<AwsSink>, Vec<SinkError>> {
        let mut mistakes = Vec::new();
        if self.secret_id.is_empty() || self.secret_id.len() > 2048 {
            mistakes.push(SinkError::config("option `secret_id`: expected a name or an ARN"));
        }
        let environment = context.environment();
        let endpoint = Endpoint::choose(self.endpoint_url.as_deref(), environment);
        let (shape, endpoint, region) = match (self.shape(), endpoint, self.region(environment)) {
            (Ok(shape), Ok(endpoint), Ok(region)) if mistakes.is_empty() => {
                (shape, endpoint, region)
            }
            (shape, endpoint, region) => {
                mistakes.extend(endpoint.err());
                mistakes.extend(shape.err());
                mistakes.extend(region.err());
                return Err(mistakes);
            }
        };
        let (profile, timeout) = (&self.profile, context.attempt_timeout());
        let key = format!("aws-secrets-manager {region:?} {profile:?} {endpoint:?} {timeout:?}");
        let account =
            context.shared(&key, || Account::new(region, self.profile, endpoint, context));
        Ok(vec![AwsSink::new(self.secret_id, shape, self.create, account)])
    }
}

impl AwsSecretsManagerConfig {
    /// The table's own, the ARN's or the environment's; the profile's may still be found.
    fn region(&self, environment: &Environment) -> Result<Option<String>, SinkError> {
        let of_arn = self.secret_id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        let set = |name| Some((format!("the variable {name}"), environment.setting(name)?));
        let (place, region) = match (&self.region, of_arn) {
            (Some(named), _) => ("option `region`".to_owned(), named.as_str()),
            (None, Some(of_arn)) => ("the ARN in `secret_id`".to_owned(), of_arn),
            (None, None) => match VARIABLES.into_iter().find_map(set) {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        if !is_host_label(region) {
            let problem = format!("{place}: expected a region, such as eu-central-1");
            return Err(SinkError::config(problem));
        }
        match of_arn {
            Some(of_arn) if of_arn != region => {
                let problem = format!("{place}: the ARN is of {of_arn}, not of {region}");
                Err(SinkError::config(problem).with_help("leave out `region`, or mend the ARN"))
            }
            _ => Ok(Some(region.to_owned())),
        }
    }

    fn shape(&self) -> Result<Shape, SinkError> {
        let mistake = |text: String| Err(SinkError::config(text));
        match (&self.json_key, &self.json_keys) {
            (Some(_), Some(_)) => {
                mistake("`json_key` and `json_keys` exclude each other".to_owned())
            }
            (None, None) => Ok(Shape::Plain),
            (Some(key), None) if key.is_empty() => mistake("option `json_key` is empty".to_owned()),
            (Some(key), None) => Ok(Shape::Keys(vec![key.clone()])),
            (None, Some(keys)) => match twice(keys) {
                _ if keys.is_empty() => mistake("option `json_keys` is empty".to_owned()),
                _ if keys.contains(&String::new()) => {
                    mistake("option `json_keys`: a key is empty".to_owned())
                }
                Some(key) => mistake(format!("option `json_keys`: `{key}` stands there twice")),
                None => Ok(Shape::Keys(keys.clone())),
            },
        }
    }
}

/// A region becomes a part of the host's name.
fn is_host_label(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(fits)
}

fn twice(keys: &[String]) -> Option<&String> {
    keys.iter().enumerate().find(|(index, key)| keys[..*index].contains(key)).map(|(_, key)| key)
}
