//! The AWS sink against moto (which checks signatures and IAM policies) and roto. boto3 inspects both.

use std::sync::Mutex;

use serde_json::{Map, Value, json};
use tokensink_core::{
    BuildContext, Content, HeldValue, HostPolicy, Readiness, SinkErrorKind, SinkFactory, Token,
    TokenSink, async_trait,
};
use tokensink_testkit::{Evidence, SinkFixture, assert_conformance};

use crate::process::{Conversation, Server, here, python};
use crate::{environment, factory, options, sink};

const KIND: &str = "aws-secrets-manager";

/// A server, and boto3 with an administrator's key.
pub(crate) struct Account {
    server: Server,
    boto3: Mutex<Conversation>,
    pub(crate) administrator: Key,
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Account {
    /// Starts moto, which accepts as many unsigned requests as it takes to create an administrator.
    pub(crate) fn at_moto() -> Self {
        let server = Server::start(|port| {
            let mut command = python("moto_server");
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "3");
            command
        });
        let mut account = Self::at(server);
        account.administrator = account.add_user("administrator", &json!("*"));
        account
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    fn at_roto() -> Self {
        Self::at(Server::start(|port| {
            let mut command = python("roto-server");
            command.args(["--port", &port.to_string(), "--ephemeral"]);
            command
        }))
    }

    fn at(server: Server) -> Self {
        let mut boto3 = python("python");
        boto3.arg(here("aws.py")).arg(server.url());
        let administrator = Key { id: "AKIDANY".to_owned(), secret: "any".to_owned() };
        Self { server, boto3: Mutex::new(Conversation::start(boto3)), administrator }
    }

    fn ask(&self, service: &str, call: &str, arguments: &Value) -> Result<Value, String> {
        let mut answer = self.boto3.lock().unwrap().ask(&json!({
            "service": service,
            "call": call,
            "arguments": arguments,
            "access_key_id": self.administrator.id,
            "secret_access_key": self.administrator.secret,
        }));
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    fn secrets(&self, call: &str, arguments: &Value) -> Value {
        self.ask("secretsmanager", call, arguments).unwrap()
    }

    /// Creates a user with permission for `actions`, and returns a key of that user.
    fn add_user(&self, name: &str, actions: &Value) -> Key {
        let iam = |call, arguments: &Value| self.ask("iam", call, arguments).unwrap();
        iam("create_user", &json!({"UserName": name}));
        let key = iam("create_access_key", &json!({"UserName": name}));
        let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let arguments = json!({"UserName": name, "PolicyName": "p", "PolicyDocument": policy});
        iam("put_user_policy", &arguments);
        let text = |field: &str| key["AccessKey"][field].as_str().unwrap().to_owned();
        Key { id: text("AccessKeyId"), secret: text("SecretAccessKey") }
    }

    pub(crate) fn create(&self, name: &str, value: &str) {
        self.secrets("create_secret", &json!({"Name": name, "SecretString": value}));
    }

    fn put(&self, name: &str, value: &str) {
        self.secrets("put_secret_value", &json!({"SecretId": name, "SecretString": value}));
    }

    /// Makes the previous version the current one.
    fn roll_back(&self, name: &str) {
        let described = self.secrets("describe_secret", &json!({"SecretId": name}));
        let stages = described["VersionIdsToStages"].as_object().unwrap();
        let version_at = |stage: &str| {
            stages.iter().find(|(_, of)| of.as_array().unwrap().contains(&json!(stage))).unwrap().0
        };
        let arguments = json!({
            "SecretId": name,
            "VersionStage": "AWSCURRENT",
            "RemoveFromVersionId": version_at("AWSCURRENT"),
            "MoveToVersionId": version_at("AWSPREVIOUS"),
        });
        self.secrets("update_secret_version_stage", &arguments);
    }

    pub(crate) fn value(&self, name: &str) -> String {
        let got = self.secrets("get_secret_value", &json!({"SecretId": name}));
        got["SecretString"].as_str().unwrap().to_owned()
    }

    fn versions(&self, name: &str) -> usize {
        let listed = self.secrets("list_secret_version_ids", &json!({"SecretId": name}));
        listed["Versions"].as_array().unwrap().len()
    }

    fn context(&self, key: &Key) -> BuildContext {
        let variables = [
            ("AWS_ACCESS_KEY_ID", key.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &key.secret),
            ("AWS_REGION", "eu-central-1"),
        ];
        BuildContext::new("/", environment(&variables))
            .with_hosts(HostPolicy::allowing(["127.0.0.1"]))
    }

    fn table(&self, name: &str, more: &Value) -> Value {
        let mut table = json!({"secret_id": name, "endpoint_url": self.server.url()});
        table.as_object_mut().unwrap().extend(options(more));
        table
    }

    fn sink(&self, key: &Key, name: &str, more: &Value) -> Box<dyn TokenSink> {
        sink(KIND, &self.table(name, more), &self.context(key))
    }

    /// Returns the error of the preparation, or of the proof after it.
    async fn refusal(&self, key: &Key, name: &str) -> SinkErrorKind {
        let error = match self.sink(key, name, &json!({})).prepare().await {
            Ok(preparation) => preparation.writer.prove().await.unwrap_err(),
            Err(error) => error,
        };
        error.kind()
    }
}

/// The inspection of a sink that holds the token of these tests.
fn new() -> Content {
    Content::Value(HeldValue::of("new"))
}

/// One secret, as the conformance suite sees it.
struct Secret<'a> {
    account: &'a Account,
    name: &'static str,
    json_key: Option<&'static str>,
}

#[async_trait]
impl SinkFixture for Secret<'_> {
    fn factory(&self) -> &'static SinkFactory {
        factory(KIND)
    }

    fn table(&self) -> Map<String, Value> {
        let more = self.json_key.map_or(json!({}), |key| json!({"json_key": key}));
        options(&self.account.table(self.name, &more))
    }

    fn context(&self) -> BuildContext {
        self.account.context(&self.account.administrator)
    }

    fn evidence(&self) -> Evidence {
        Evidence::Value
    }

    async fn stored(&self) -> Option<String> {
        let value = self.account.value(self.name);
        let Some(key) = self.json_key else { return Some(value) };
        let json: Value = serde_json::from_str(&value).unwrap();
        json[key].as_str().map(str::to_owned)
    }

    async fn snapshot(&self) -> String {
        format!("{} {}", self.account.versions(self.name), self.account.value(self.name))
    }

    async fn overwrite(&self, value: &str) {
        let value = match self.json_key {
            Some(key) => format!("{{ \"n\": 1.50, \"{key}\": \"{value}\" }}"),
            None => value.to_owned(),
        };
        self.account.put(self.name, &value);
    }

    async fn obstruct(&self) {
        self.account.secrets("delete_secret", &json!({"SecretId": self.name}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_conforms_at_moto_and_at_roto() {
    for account in [Account::at_moto(), Account::at_roto()] {
        for (name, json_key) in [("plain", None), ("json", Some("T"))] {
            account.create(name, "{}");
            let secret = Secret { account: &account, name, json_key };
            assert_eq!(assert_conformance(&secret).await, Ok(()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_write_adds_one_version_and_a_repeat_none() {
    for account in [Account::at_moto(), Account::at_roto()] {
        account.create("s", "{ \"a\": 1.50, \"T\": \"old\", \"b\": 1e3 }");
        let sink = account.sink(&account.administrator, "s", &json!({"json_key": "T"}));
        let prepared = sink.prepare().await.unwrap();
        assert_eq!(account.versions("s"), 1);
        for _ in 0..2 {
            prepared.writer.write(&Token::new("new")).await.unwrap();
            assert_eq!(account.versions("s"), 2);
        }
        assert_eq!(account.value("s"), "{ \"a\": 1.50, \"T\": \"new\", \"b\": 1e3 }");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrent_write_by_another_program_is_kept() {
    for account in [Account::at_moto(), Account::at_roto()] {
        account.create("s", r#"{"T":"old","theirs":1}"#);
        let sink = account.sink(&account.administrator, "s", &json!({"json_key": "T"}));
        let (prepared, token) = (sink.prepare().await.unwrap(), Token::new("new"));
        account.put("s", r#"{"T":"old","theirs":2}"#);
        // Either the write or the inspection after it notices, and the next write merges both.
        let noticed = match prepared.writer.write(&token).await {
            Err(error) => error,
            Ok(_) => sink.inspect(None).await.unwrap_err(),
        };
        assert_eq!(noticed.kind(), SinkErrorKind::Conflict);
        sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
        assert_eq!(account.value("s"), r#"{"T":"new","theirs":2}"#);
        assert_eq!(sink.inspect(None).await.unwrap().content, new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_rolled_back_is_repeated() {
    // moto does not remove AWSCURRENT from a version that it was moved to manually.
    let account = Account::at_roto();
    account.create("s", "old");
    let token = Token::new("new");
    for _ in 0..3 {
        let sink = account.sink(&account.administrator, "s", &json!({}));
        sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
        assert_eq!(sink.inspect(None).await.unwrap().content, new());
        account.roll_back("s");
        assert_eq!(account.value("s"), "old");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_deleted_secret_is_refused_and_created_on_request() {
    for account in [Account::at_moto(), Account::at_roto()] {
        let administrator = &account.administrator;
        assert_eq!(account.refusal(administrator, "none").await, SinkErrorKind::NotFound);
        account.create("gone", "old");
        account.secrets("delete_secret", &json!({"SecretId": "gone"}));
        assert_eq!(account.refusal(administrator, "gone").await, SinkErrorKind::Rejected);
        let made = account.sink(administrator, "made", &json!({"create": true}));
        made.prepare().await.unwrap().writer.write(&Token::new("new")).await.unwrap();
        assert_eq!(account.value("made"), "new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_read_permission_can_be_written_repeatedly() {
    let account = Account::at_moto();
    account.create("s", "old");
    let actions = ["DescribeSecret", "PutSecretValue"];
    let actions = actions.map(|action| format!("secretsmanager:{action}"));
    let writer = account.add_user("writer", &json!(actions));
    let (sink, token) = (account.sink(&writer, "s", &json!({})), Token::new("new"));
    for _ in 0..2 {
        let receipt = sink.prepare().await.unwrap().writer.write(&token).await.unwrap();
        assert_eq!(account.value("s"), "new");
        assert_eq!(
            sink.inspect(Some(&receipt)).await.unwrap().content,
            Content::UnchangedSinceOurWrite
        );
        account.put("s", "theirs");
        let content = sink.inspect(Some(&receipt)).await.unwrap().content;
        assert_eq!(content, Content::ChangedSinceOurWrite);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_signature_or_permission_is_found_before_the_reset() {
    let account = Account::at_moto();
    account.create("s", "old");
    let allow = |actions: &[&str]| {
        let actions = actions.iter().map(|action| format!("secretsmanager:{action}"));
        json!(actions.collect::<Vec<_>>())
    };
    let enough =
        account.add_user("enough", &allow(&["DescribeSecret", "GetSecretValue", "PutSecretValue"]));
    let preparation = account.sink(&enough, "s", &json!({})).prepare().await.unwrap();
    assert_eq!(preparation.writer.prove().await.unwrap(), Readiness::Ready);
    let wrong = Key { secret: "wrong".to_owned(), ..enough };
    let unknown = Key { id: "AKIAUNKNOWNUNKNOWN00".to_owned(), secret: "any".to_owned() };
    let readers = account.add_user("reader", &allow(&["DescribeSecret", "GetSecretValue"]));
    let writers = account.add_user("writer", &allow(&["PutSecretValue"]));
    for key in [wrong, unknown, readers, writers] {
        assert_eq!(account.refusal(&key, "s").await, SinkErrorKind::PermissionDenied, "{}", key.id);
    }
    assert_eq!((account.value("s").as_str(), account.versions("s")), ("old", 1));
}
