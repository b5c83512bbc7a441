//! The conformance checks of the plugin contract.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::{Map, Value, json};
use tokensink_aws_secrets_manager as _;
use tokensink_core::{BuildContext, Environment, HostPolicy, Registry, SinkFactory, async_trait};
use tokensink_sandbox::Aws;
use tokensink_testkit::{Evidence, SinkFixture, assert_conformance};

struct SecretFixture {
    aws: Aws,
    json_key: Option<&'static str>,
}

#[async_trait]
impl SinkFixture for SecretFixture {
    fn factory(&self) -> &'static SinkFactory {
        Registry::linked().unwrap().get("aws-secrets-manager").unwrap()
    }

    fn table(&self) -> Map<String, Value> {
        let mut table = json!({"secret_id": "s", "endpoint_url": self.aws.url()});
        if let Some(key) = self.json_key {
            table["json_key"] = json!(key);
        }
        table.as_object().unwrap().clone()
    }

    fn context(&self) -> BuildContext {
        let variables = [
            ("AWS_ACCESS_KEY_ID", self.aws.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_REGION", self.aws.region()),
        ];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        BuildContext::new("/", Environment::from_iter(owned))
            .with_hosts(HostPolicy::allowing(["127.0.0.1"]))
    }

    fn evidence(&self) -> Evidence {
        Evidence::Value
    }

    async fn stored(&self) -> Option<String> {
        let value = self.aws.value("s")?;
        let Some(key) = self.json_key else { return Some(value) };
        let json: Value = serde_json::from_str(&value).unwrap();
        json[key].as_str().map(str::to_owned)
    }

    async fn snapshot(&self) -> String {
        format!("{} {:?}", self.aws.versions("s"), self.aws.value("s"))
    }

    async fn overwrite(&self, value: &str) {
        let value = match self.json_key {
            Some(key) => json!({"other": 1.5, key: value}).to_string(),
            None => value.to_owned(),
        };
        self.aws.put_externally("s", &value);
    }

    async fn obstruct(&self) {
        self.aws.delete("s");
    }
}

#[tokio::test]
async fn aws_secrets_manager_conforms() {
    for json_key in [None, Some("T")] {
        let target = SecretFixture { aws: Aws::start().await.unwrap(), json_key };
        assert_eq!(assert_conformance(&target).await, Ok(()));
    }
}
