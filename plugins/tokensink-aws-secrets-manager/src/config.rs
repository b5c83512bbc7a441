//! The options of a table of kind `aws-secrets-manager`.

use schemars::JsonSchema;
use serde::Deserialize;
use tokensink_core::{BuildContext, Environment, SinkConfig, SinkError};

use crate::AwsSink;
use crate::client::Account;
use crate::credentials;
use crate::endpoint::Endpoint;
use crate::secret_id::SecretId;
use crate::sink::Replace;
use crate::value::Shape;

/// The variables in which AWS tools look for a region, in their order.
const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// A `[sinks.NAME]` table with `kind = "aws-secrets-manager"`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AwsSecretsManagerConfig {
    /// the secret's name or ARN
    secret_id: String,
    /// the key of a JSON secret that contains the token; by default the whole value is the token
    #[serde(default)]
    json_key: Option<String>,
    /// several keys that all contain the token
    #[serde(default)]
    json_keys: Option<Vec<String>>,
    /// the region; by default the one of the ARN, the profile or the environment
    #[serde(default)]
    region: Option<String>,
    /// the profile in ~/.aws whose credentials are used
    #[serde(default)]
    profile: Option<String>,
    /// another endpoint, such as a VPC endpoint or a fake on loopback
    #[serde(default)]
    endpoint_url: Option<String>,
    /// add keys, or create the secret, if they do not exist yet
    #[serde(default)]
    create: bool,
}

impl SinkConfig for AwsSecretsManagerConfig {
    const KIND: &'static str = "aws-secrets-manager";
    const SUMMARY: &'static str = "a secret of AWS Secrets Manager, or keys of a JSON secret";
    const PERMISSIONS: &'static str = "\
secretsmanager:DescribeSecret
secretsmanager:PutSecretValue
secretsmanager:GetSecretValue (for JSON keys; else it makes the evidence stronger)
secretsmanager:CreateSecret (with `create`, where the secret is missing)
with a customer managed key also kms:GenerateDataKey and kms:Decrypt";
    const TAKES_EFFECT: &'static str =
        "at the application's next read: ECS reads when a task starts, caches after up to an hour";
    const EXAMPLE: &'static str =
        "secret_id = \"prod/qstash\"\njson_key = \"QSTASH_TOKEN\"\nregion = \"eu-central-1\"";
    type Sink = AwsSink;

    fn build(self, context: &BuildContext) -> Result<Vec<AwsSink>, Vec<SinkError>> {
        let environment = context.environment();
        let mut errors = credentials::check(environment, self.profile.as_deref());
        let secret_id = keep(&mut errors, SecretId::parse(&self.secret_id));
        let of_arn = secret_id.as_ref().and_then(SecretId::region);
        let region = keep(&mut errors, self.region(of_arn, environment));
        let shape = keep(&mut errors, self.shape());
        let endpoint = Endpoint::choose(self.endpoint_url.as_deref(), context);
        let endpoint = keep(&mut errors, endpoint);
        let (Some(secret_id), Some(region), Some(shape), Some(endpoint), []) =
            (secret_id, region, shape, endpoint, errors.as_slice())
        else {
            return Err(errors);
        };
        let (profile, timeout) = (&self.profile, context.attempt_timeout());
        let key = format!("aws-secrets-manager {region:?} {profile:?} {endpoint:?} {timeout:?}");
        let account =
            context.shared(&key, || Account::new(region, self.profile, endpoint, context));
        let replace = Replace { create: self.create, anything: context.replaces_anything() };
        Ok(vec![AwsSink::new(secret_id, shape, replace, account)])
    }
}

impl AwsSecretsManagerConfig {
    /// Returns the region of the table, the ARN or the environment. Without one, the SDK uses the
    /// profile's.
    fn region(
        &self,
        of_arn: Option<&str>,
        environment: &Environment,
    ) -> Result<Option<String>, SinkError> {
        let set = |name| Some((format!("the variable {name}"), environment.setting(name)?));
        let (place, option, region) = match (&self.region, of_arn) {
            (Some(named), _) => ("option `region`".to_owned(), Some("region"), named.as_str()),
            (None, Some(of_arn)) => {
                ("the ARN in `secret_id`".to_owned(), Some("secret_id"), of_arn)
            }
            (None, None) => match VARIABLES.into_iter().find_map(set) {
                Some((place, region)) => (place, None, region),
                None => return Ok(None),
            },
        };
        let error = |problem: String| match option {
            Some(option) => SinkError::config(problem).for_option(option),
            None => SinkError::config(problem),
        };
        if !is_host_label(region) {
            return Err(error(format!("{place}: expected a region, such as eu-central-1")));
        }
        match of_arn {
            Some(of_arn) if of_arn != region => {
                Err(error(format!("{place}: the ARN is of {of_arn}, not of {region}"))
                    .with_help("remove `region`, or correct the ARN"))
            }
            _ => Ok(Some(region.to_owned())),
        }
    }

    fn shape(&self) -> Result<Shape, SinkError> {
        let (key, keys) = (self.json_key.as_ref(), self.json_keys.as_ref());
        let error = |option: &str, problem: &str| {
            Err(SinkError::config(format!("option `{option}`{problem}")).for_option(option))
        };
        match (key, keys) {
            (Some(_), Some(_)) => {
                let problem = "`json_key` and `json_keys` exclude each other";
                Err(SinkError::config(problem).for_option("json_keys"))
            }
            (None, None) => Ok(Shape::Plain),
            (Some(key), None) if key.is_empty() => error("json_key", " is empty"),
            (Some(key), None) => Ok(Shape::Keys(vec![key.clone()])),
            (None, Some(keys)) => match repeated(keys) {
                _ if keys.is_empty() => error("json_keys", " is empty"),
                _ if keys.contains(&String::new()) => error("json_keys", ": a key is empty"),
                Some(key) => error("json_keys", &format!(": `{key}` is in it twice")),
                None => Ok(Shape::Keys(keys.clone())),
            },
        }
    }
}

/// Returns the value, or adds the error to `errors`.
fn keep<T>(errors: &mut Vec<SinkError>, outcome: Result<T, SinkError>) -> Option<T> {
    outcome.map_err(|error| errors.push(error)).ok()
}

/// Returns whether `text` can be a part of a host name, like a region.
fn is_host_label(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(fits)
}

fn repeated(keys: &[String]) -> Option<&String> {
    keys.iter().enumerate().find(|(index, key)| keys[..*index].contains(key)).map(|(_, key)| key)
}
