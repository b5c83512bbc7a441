//! The example plugin against a fake server: what it promises to those who copy it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokensink_core::{
    BuildContext, Environment, HostPolicy, Registry, SinkError, SinkErrorKind, SinkFactory, Token,
    TokenSink, async_trait,
};
use tokensink_testkit::{Evidence, SinkFixture, assert_conformance, build_in};

#[allow(dead_code, reason = "as an example it has a main of its own")]
#[path = "../examples/http_sink.rs"]
mod http_sink;

const NAME: &str = "QSTASH_TOKEN";
const CREDENTIAL: &str = "acme-credential";

/// What the fake server has.
#[derive(Debug, Default)]
struct Shelf {
    value: Option<String>,
    is_read_only: bool,
    /// Method and path of each request.
    requests: Vec<String>,
}

type Shared = Arc<Mutex<Shelf>>;

struct Acme {
    url: String,
    shelf: Shared,
}

impl Acme {
    async fn start() -> Self {
        let shelf = Shared::default();
        let router = Router::new()
            .route("/v1/secrets/{name}", get(read).put(write))
            .with_state(Arc::clone(&shelf));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shelf }
    }

    fn put_externally(&self, value: &str) {
        self.shelf.lock().unwrap().value = Some(value.to_owned());
    }

    fn sink(&self, context: &BuildContext) -> Box<dyn TokenSink> {
        build_in("acme", Value::Object(self.table()), context).unwrap().remove(0)
    }
}

/// Refuses with a text that contains what was sent, as careless servers do.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &Value) -> (StatusCode, Json<Value>) {
    (status, Json(json!({"error": format!("no: {:?} {body}", headers.get("authorization"))})))
}

fn is_authorized(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| *value == format!("Bearer {CREDENTIAL}"))
}

async fn read(
    State(shelf): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let mut shelf = shelf.lock().unwrap();
    shelf.requests.push(format!("GET {name}"));
    match shelf.value.clone().filter(|_| name == NAME) {
        _ if !is_authorized(&headers) => refusal(StatusCode::UNAUTHORIZED, &headers, &Value::Null),
        Some(value) => (StatusCode::OK, Json(json!({"value": value}))),
        None => refusal(StatusCode::NOT_FOUND, &headers, &Value::Null),
    }
}

async fn write(
    State(shelf): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut shelf = shelf.lock().unwrap();
    shelf.requests.push(format!("PUT {name}"));
    if !is_authorized(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, &headers, &body);
    }
    if shelf.is_read_only {
        return refusal(StatusCode::FORBIDDEN, &headers, &body);
    }
    shelf.value = body["value"].as_str().map(str::to_owned);
    (StatusCode::OK, Json(json!({})))
}

fn context_with(variables: &[(&str, &str)], hosts: &[&str]) -> BuildContext {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    BuildContext::new("/", variables.collect::<Environment>())
        .with_hosts(HostPolicy::allowing(hosts.iter().copied()))
}

#[async_trait]
impl SinkFixture for Acme {
    fn factory(&self) -> &'static SinkFactory {
        Registry::linked().unwrap().get("acme").unwrap()
    }

    fn table(&self) -> Map<String, Value> {
        json!({"secret": NAME, "api_url": self.url}).as_object().unwrap().clone()
    }

    fn context(&self) -> BuildContext {
        context_with(&[("ACME_TOKEN", CREDENTIAL)], &["127.0.0.1"])
    }

    fn evidence(&self) -> Evidence {
        Evidence::Value
    }

    async fn stored(&self) -> Option<String> {
        self.shelf.lock().unwrap().value.clone()
    }

    async fn snapshot(&self) -> String {
        format!("{:?}", self.shelf.lock().unwrap().value)
    }

    async fn overwrite(&self, value: &str) {
        self.put_externally(value);
    }

    async fn obstruct(&self) {
        self.shelf.lock().unwrap().is_read_only = true;
    }
}

#[tokio::test]
async fn the_example_conforms() {
    assert_eq!(assert_conformance(&Acme::start().await).await, Ok(()));
}

#[tokio::test]
async fn a_prepared_write_is_one_request() {
    let acme = Acme::start().await;
    acme.put_externally("old");
    let preparation = acme.sink(&acme.context()).prepare().await.unwrap();
    preparation.writer.write(&Token::new("new")).await.unwrap();
    let expected = [format!("GET {NAME}"), format!("PUT {NAME}")];
    assert_eq!(acme.shelf.lock().unwrap().requests, expected);
    assert_eq!(acme.stored().await.as_deref(), Some("new"));
}

#[tokio::test]
async fn what_is_refused_has_a_kind_and_shows_no_secret() {
    let acme = Acme::start().await;
    let missing = acme.sink(&acme.context()).prepare().await.unwrap_err();
    assert_eq!(missing.kind(), SinkErrorKind::NotFound, "{missing}");
    acme.put_externally("op://vault/q");
    let reference = acme.sink(&acme.context()).prepare().await.unwrap_err();
    assert_eq!(reference.kind(), SinkErrorKind::Rejected, "{reference}");
    let preparation = acme.sink(&acme.context().replacing_anything()).prepare().await.unwrap();
    acme.obstruct().await;
    let denied = preparation.writer.write(&Token::new("new-token")).await.unwrap_err();
    assert_eq!(denied.kind(), SinkErrorKind::PermissionDenied, "{denied}");
    assert!(denied.to_string().contains("[redacted]"), "{denied}");
    for error in [missing, denied] {
        let message = error.to_string();
        assert!(!message.contains(CREDENTIAL) && !message.contains("new-token"), "{message}");
    }
}

fn built(url: Option<&str>, context: &BuildContext) -> Result<Option<String>, Vec<SinkError>> {
    let mut table = json!({"secret": NAME});
    if let Some(url) = url {
        table["api_url"] = json!(url);
    }
    Ok(build_in("acme", table, context)?[0].info().host.clone())
}

#[test]
fn a_credential_goes_only_where_it_may() {
    let token = ("ACME_TOKEN", CREDENTIAL);
    let other = Some("https://acme.corp.example");
    assert_eq!(built(None, &context_with(&[token], &[])).unwrap(), None);
    let errors = built(other, &context_with(&[token], &[])).unwrap_err();
    assert_eq!(errors[0].option(), Some("api_url"), "{errors:?}");
    // An allowed host gets a credential of its own, or none.
    let allowed = context_with(&[token], &["acme.corp.example"]);
    let errors = built(other, &allowed).unwrap_err();
    assert!(errors[0].to_string().contains("there is no credential for it"), "{errors:?}");
    let mut hosts = HostPolicy::allowing(["acme.corp.example"]);
    hosts.token_variables.insert("acme.corp.example".to_owned(), "CORP_TOKEN".to_owned());
    let own = context_with(&[("CORP_TOKEN", "corp")], &[]).with_hosts(hosts);
    assert_eq!(built(other, &own).unwrap().as_deref(), Some("acme.corp.example"));
}

#[test]
fn every_error_of_a_table_is_reported_at_once() {
    for secret in ["", "a/b", "..", "a?b", "é"] {
        let table = json!({"secret": secret});
        let errors = build_in("acme", table, &context_with(&[], &[])).unwrap_err();
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "option `secret`: expected letters, digits, `-` and `_`",
                "the variable ACME_TOKEN is not set",
            ]
        );
    }
    let errors = built(None, &context_with(&[("ACME_TOKEN", "two\nlines")], &[])).unwrap_err();
    let message = errors[0].to_string();
    assert!(message.contains("ACME_TOKEN") && !message.contains("two"), "{message}");
}
