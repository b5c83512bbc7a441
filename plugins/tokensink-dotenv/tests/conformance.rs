//! The conformance checks for this sink.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;

use serde_json::{Map, Value, json};
use tokensink_core::{BuildContext, Environment, Registry, SinkFactory, async_trait};
use tokensink_dotenv as _;
use tokensink_testkit::{Evidence, SinkFixture, assert_conformance};

struct Dotenv(tempfile::TempDir);

#[async_trait]
impl SinkFixture for Dotenv {
    fn factory(&self) -> &'static SinkFactory {
        Registry::linked().unwrap().get("dotenv").unwrap()
    }

    fn table(&self) -> Map<String, Value> {
        json!({"path": ".env"}).as_object().unwrap().clone()
    }

    fn context(&self) -> BuildContext {
        BuildContext::new(self.0.path(), Environment::default())
    }

    fn evidence(&self) -> Evidence {
        Evidence::Value
    }

    async fn stored(&self) -> Option<String> {
        let text = fs::read_to_string(self.0.path().join(".env")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("QSTASH_TOKEN=").map(str::to_owned))
    }

    async fn snapshot(&self) -> String {
        let mut files: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| format!("{}: {}", path.display(), fs::read_to_string(&path).unwrap()))
            .collect();
        files.sort();
        files.join("\n")
    }

    async fn overwrite(&self, value: &str) {
        fs::write(self.0.path().join(".env"), format!("A=1\nQSTASH_TOKEN={value}\n")).unwrap();
    }

    async fn obstruct(&self) {
        fs::remove_file(self.0.path().join(".env")).unwrap();
    }
}

#[tokio::test]
async fn dotenv_passes_the_conformance_checks() {
    let fixture = Dotenv(tempfile::tempdir().unwrap());
    assert_eq!(assert_conformance(&fixture).await, Ok(()));
}
