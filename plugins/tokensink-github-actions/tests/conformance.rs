//! The conformance checks of the plugin contract.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::{Map, Value, json};
use tokensink_core::{BuildContext, Environment, HostPolicy, Registry, SinkFactory, async_trait};
use tokensink_github_actions as _;
use tokensink_sandbox::GitHub;
use tokensink_testkit::{Evidence, SinkFixture, assert_conformance};

const SECRET: &str = "repos/acme/api/actions/secrets/QSTASH_TOKEN";

struct Secret(GitHub);

#[async_trait]
impl SinkFixture for Secret {
    fn factory(&self) -> &'static SinkFactory {
        Registry::linked().unwrap().get("github-actions").unwrap()
    }

    fn table(&self) -> Map<String, Value> {
        let table = json!({"repositories": ["acme/api"], "api_url": self.0.url()});
        table.as_object().unwrap().clone()
    }

    fn context(&self) -> BuildContext {
        let token = ("GH_TOKEN".to_owned(), self.0.token().to_owned());
        let hosts = HostPolicy::allowing(["127.0.0.1"]);
        BuildContext::new("/", Environment::from_iter([token])).with_hosts(hosts)
    }

    fn evidence(&self) -> Evidence {
        Evidence::Receipt
    }

    async fn stored(&self) -> Option<String> {
        self.0.secret(SECRET)
    }

    async fn snapshot(&self) -> String {
        self.0.secret(SECRET).unwrap_or_default()
    }

    async fn overwrite(&self, value: &str) {
        self.0.put_externally(SECRET, value);
    }

    async fn obstruct(&self) {
        self.0.archive("acme/api");
    }
}

#[tokio::test]
async fn github_actions_conforms() {
    let github = GitHub::start().await.unwrap();
    github.add_repository("acme/api");
    assert_eq!(assert_conformance(&Secret(github)).await, Ok(()));
}
