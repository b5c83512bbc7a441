//! The GitHub sink and the fake of GitHub against GitHub's own OpenAPI description, with prism between
//! them as a proxy that rejects everything that does not satisfy it. PyNaCl opens every sealed box.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokensink_core::{BuildContext, Content, SinkErrorKind, Token, TokenSink};
use tokensink_sandbox::GitHub;

use crate::process::{Conversation, Server, here, installed, node, python};
use crate::{environment, sinks};

const TOKEN: &str = "eyJVc2VySUQiOiJwZWVyIiwiUGFzc3dvcmQiOiJib3gifQ==";

/// prism as a proxy in front of `upstream`.
struct Described {
    proxy: Server,
    _directory: tempfile::TempDir,
}

impl Described {
    fn before(upstream: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let description = directory.path().join("github.json");
        let whole = "node_modules/@octokit/openapi/generated/api.github.com.deref.json";
        let status = std::process::Command::new("node")
            .arg(here("describe.mjs"))
            .args([installed(whole), description.clone()])
            .status();
        assert!(status.unwrap().success());
        let proxy = Server::start(|port| {
            let mut command = node("@stoplight/prism-cli/dist/index.js");
            command.args(["proxy", "--errors", "-h", "127.0.0.1", "-p", &port.to_string()]);
            command.arg(&description).arg(upstream);
            command
        });
        Self { proxy, _directory: directory }
    }
}

struct Account {
    github: GitHub,
    described: Described,
}

impl Account {
    async fn new() -> Self {
        let github = GitHub::start().await.unwrap();
        let described = Described::before(&github.url());
        Self { github, described }
    }

    fn sinks(&self, mut table: Value) -> Vec<Box<dyn TokenSink>> {
        table["api_url"] = json!(self.described.proxy.url());
        let context = BuildContext::new("/", environment(&[("GH_TOKEN", self.github.token())]))
            .with_hosts(tokensink_core::HostPolicy::allowing(["127.0.0.1"]));
        sinks("github-actions", &table, &context)
    }

    fn sink(&self, table: Value) -> Box<dyn TokenSink> {
        self.sinks(table).remove(0)
    }

    /// Surveys, prepares, writes and inspects through prism: any request or response that GitHub's
    /// description does not allow becomes a 4xx or 5xx there, and fails here.
    async fn write_everywhere(&self, table: Value, path: &str) {
        self.github.put_externally(path, "old");
        let sink = self.sink(table);
        sink.survey().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let preparation = sink.prepare().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let token = Token::new(TOKEN);
        let receipt = preparation
            .writer
            .write(&token)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let content = sink.inspect(Some(&receipt)).await.unwrap().content;
        assert_eq!(content, Content::UnchangedSinceOurWrite, "{path}");
        assert_eq!(self.github.secret(path).as_deref(), Some(TOKEN), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_and_response_satisfies_githubs_description() {
    let account = Account::new().await;
    let github = &account.github;
    let ids: Vec<u64> =
        (0..150).map(|one| github.add_repository(&format!("acme/r{one}"))).collect();
    github.add_environment("acme/r0", "staging");
    github.add_environment("acme/r1", "eu/production 1");
    github.add_organization("acme");

    for app in ["actions", "dependabot", "codespaces"] {
        let path = format!("repos/acme/r0/{app}/secrets/QSTASH_TOKEN");
        account.write_everywhere(json!({"repositories": ["acme/r0"], "app": app}), &path).await;
        let path = format!("orgs/acme/{app}/secrets/QSTASH_TOKEN");
        github.add_selected_secret(&path, ids.clone());
        account.write_everywhere(json!({"organization": "acme", "app": app}), &path).await;
        assert_eq!(github.selected(&path), ids, "{path}");
    }
    let path = "repos/acme/r1/environments/eu%2Fproduction%201/secrets/QSTASH_TOKEN";
    let table = json!({"repositories": ["acme/r1"], "environment": "eu/production 1"});
    account.write_everywhere(table, path).await;

    // So many that they are listed.
    let many: Vec<String> = (0..20).map(|one| format!("acme/r{one}")).collect();
    let many = account.sinks(json!({"repositories": many}));
    many[0].prepare().await.unwrap();
    assert!(github.requests().iter().any(|request| request.path.starts_with("/orgs/acme/repos?")));

    let mut pynacl = python("python");
    pynacl.arg(here("unseal.py"));
    let mut pynacl = Conversation::start(pynacl);
    let boxes = github.boxes();
    assert_eq!(boxes.len(), 7);
    for (path, sealed) in boxes {
        let opened = pynacl.ask(&json!({"key": github.private_key(), "box": sealed}));
        assert_eq!(opened["opened"], TOKEN, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repository_is_reported_through_the_description() {
    let account = Account::new().await;
    let error = account.sink(json!({"repositories": ["acme/none"]})).prepare().await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::NotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prism_detects_what_the_description_forbids() {
    let upstream = Router::new().fallback(get(|| async { axum::Json(json!({"key_id": 7})) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, upstream).await });
    let described = Described::before(&url);
    let client = reqwest::Client::new();
    let secrets = format!("{}/repos/acme/api/actions/secrets", described.proxy.url());

    let answer = client.get(format!("{secrets}/public-key")).send().await.unwrap();
    assert!(answer.status().is_server_error(), "{answer:?}");
    let body = json!({"encrypted_value": "not base64!", "key_id": 7});
    let answer = client.put(format!("{secrets}/NAME")).json(&body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422, "{answer:?}");
}
