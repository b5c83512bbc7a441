//! What a table of kind `aws-secrets-manager` may hold.

use schemars::JsonSchema;
use serde::Deserialize;
use tokensink_core::{BuildContext, SinkConfig, SinkError};
use tokensink_http::{is_loopback, parse_base_url, reqwest::Url};

use crate::AwsSink;
use crate::client::{Account, Endpoint};
use crate::value::Shape;

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
        let endpoint = self.endpoint(context, &mut mistakes);
        let shape = match (self.json_key, self.json_keys) {
            (Some(_), Some(_)) => {
                mistakes.push(SinkError::config("`json_key` and `json_keys` exclude each other"));
                Shape::Plain
            }
            (None, Some(keys)) if keys.is_empty() => {
                mistakes.push(SinkError::config("option `json_keys` is empty"));
                Shape::Plain
            }
            (None, None) => Shape::Plain,
            (one, many) => Shape::Keys(one.into_iter().chain(many.into_iter().flatten()).collect()),
        };
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let of_arn = self.secret_id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        let environment = context.environment();
        let region = self
            .region
            .or_else(|| of_arn.map(str::to_owned))
            .or_else(|| environment.setting("AWS_REGION").map(str::to_owned))
            .or_else(|| environment.setting("AWS_DEFAULT_REGION").map(str::to_owned));
        let key = format!("aws-secrets-manager {region:?} {:?} {endpoint:?}", self.profile);
        let account =
            context.shared(&key, || Account::new(region, self.profile, endpoint, context));
        Ok(vec![AwsSink::new(self.secret_id, shape, self.create, account)])
    }
}

impl AwsSecretsManagerConfig {
    /// The token goes to the endpoint, so a config file alone must not choose just any.
    fn endpoint(&self, context: &BuildContext, mistakes: &mut Vec<SinkError>) -> Option<Endpoint> {
        let environment = context.environment();
        let by_variable = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|name| Some((name, environment.setting(name)?)));
        let Some(text) = &self.endpoint_url else {
            return by_variable.map(|(name, url)| Endpoint::ByVariable(name, url.to_owned()));
        };
        match parse_base_url(text) {
            Ok(url) if is_trusted(&url) || by_variable.is_some_and(|(_, set)| set == text) => {
                Some(Endpoint::ByConfig(text.clone()))
            }
            Ok(url) => {
                let host = url.host_str().unwrap_or_default();
                let problem = format!(
                    "option `endpoint_url`: {host} is not of AWS, and a config file alone must not send the token there"
                );
                mistakes.push(SinkError::config(problem).advise(
                    "if you trust it, set AWS_ENDPOINT_URL_SECRETS_MANAGER to the same URL",
                ));
                None
            }
            Err(error) => {
                mistakes.push(SinkError::config(format!("option `endpoint_url`: {error}")));
                None
            }
        }
    }
}

fn is_trusted(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    is_loopback(url)
        || [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|aws| host.ends_with(aws))
}
