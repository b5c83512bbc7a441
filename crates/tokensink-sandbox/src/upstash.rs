//! A fake of Upstash: the Developer API, and QStash itself on a second port.
//!
//! Paths, statuses and documents follow upstash.com/docs/devops/developer-api and
//! upstash.com/docs/qstash.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::time::Instant;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::aead::OsRng;
use crypto_box::aead::rand_core::RngCore as _;
use serde_json::{Value, json};

use crate::network::Network;
use crate::protocol::Protocol;
use crate::server::{ReceivedRequest, Server, locked};

const EMAIL: &str = "owner@example.com";

/// A fault of the next reset.
#[derive(Clone, Debug)]
pub enum ResetFault {
    /// The reset has no effect, and the response has this status and body.
    Refused(u16, &'static str),
    /// The reset takes effect, but the response is a gateway's 504.
    ResponseLost,
    /// The response is a gateway's 504 at once, and the reset takes effect this much later.
    TakesEffectAfter(Duration),
    /// The reset takes effect, but the response is a 200 without a token.
    NoTokenInResponse,
    /// The reset has no effect, and the response is a gateway's 504.
    NoEffect,
    /// The reset takes effect, but QStash still accepts the old token.
    OldTokenStaysAccepted,
}

/// A fake of the Upstash Developer API and QStash.
#[derive(Debug)]
pub struct Upstash {
    developer_api: Server,
    qstash: Server,
    account: SharedAccount,
}

type SharedAccount = Arc<Mutex<Account>>;

#[derive(Debug)]
struct Account {
    api_key: String,
    users: BTreeMap<String, User>,
    faults: Vec<ResetFault>,
    next_token: Option<String>,
    /// The region of the QStash host. `None` if it serves all regions.
    region: Option<&'static str>,
}

#[derive(Debug)]
struct User {
    region: &'static str,
    token: String,
    read_only_token: String,
    resets: usize,
    /// The token before the last reset, if QStash still accepts it.
    old_token: Option<String>,
}

impl Upstash {
    /// Starts the servers with an account that has no QStash.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts the servers behind a simulated network.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        let account = Account {
            api_key: random_hex(16),
            users: BTreeMap::new(),
            faults: Vec::new(),
            next_token: None,
            region: None,
        };
        let account: SharedAccount = Arc::new(Mutex::new(account));
        let developer_api = Router::new()
            .route("/v2/qstash/users", get(list))
            .route("/v2/qstash/user/{id}", get(show))
            .route("/v2/qstash/rotate-token/{id}", post(rotate))
            .with_state(Arc::clone(&account));
        let qstash = Router::new()
            .route("/v2/globalParallelism", get(parallelism))
            .with_state(Arc::clone(&account));
        Ok(Self {
            developer_api: Server::start(developer_api, network, Protocol::Http2).await?,
            qstash: Server::start(qstash, network, Protocol::Http2).await?,
            account,
        })
    }

    /// Returns the base URL of the Developer API.
    pub fn url(&self) -> String {
        format!("{}/v2", self.developer_api.url())
    }

    /// Returns the base URL of QStash.
    pub fn qstash_url(&self) -> String {
        self.qstash.url()
    }

    /// Returns the account's email address.
    pub fn email(&self) -> &str {
        EMAIL
    }

    /// Returns the account's Developer API key.
    pub fn api_key(&self) -> String {
        locked(&self.account).api_key.clone()
    }

    /// Adds a QStash in `region`. Returns its id.
    pub fn add_user(&self, region: &'static str) -> String {
        let digits = random_hex(16);
        let id = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]]
            .join("-");
        let (token, read_only_token) = (new_token(&id), new_token(&id));
        let user = User { region, token, read_only_token, resets: 0, old_token: None };
        locked(&self.account).users.insert(id.clone(), user);
        id
    }

    /// Restricts the QStash host to one region. Tokens of other regions get a 404.
    pub fn serve_only(&self, region: &'static str) {
        locked(&self.account).region = Some(region);
    }

    /// Returns the read-only token of a QStash.
    pub fn read_only_token(&self, id: &str) -> Option<String> {
        locked(&self.account).users.get(id).map(|user| user.read_only_token.clone())
    }

    /// Returns the live token of a QStash.
    pub fn token(&self, id: &str) -> Option<String> {
        locked(&self.account).users.get(id).map(|user| user.token.clone())
    }

    /// Returns the number of resets of a QStash that took effect.
    pub fn resets(&self, id: &str) -> usize {
        locked(&self.account).users.get(id).map_or(0, |user| user.resets)
    }

    /// Returns a function that returns whether any token was reset. It can be called from any thread.
    pub fn was_reset(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let account = Arc::clone(&self.account);
        move || locked(&account).users.values().any(|user| user.resets > 0)
    }

    /// Resets a token like a user in the console.
    pub fn reset_externally(&self, id: &str) {
        reset(&self.account, id);
    }

    /// Sets the token of the next reset.
    pub fn next_token(&self, token: &str) {
        locked(&self.account).next_token = Some(token.to_owned());
    }

    /// Queues a fault for the next reset without one.
    pub fn fail_next_reset(&self, fault: ResetFault) {
        locked(&self.account).faults.push(fault);
    }

    /// Returns every request to the Developer API so far.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.developer_api.requests()
    }

    /// Returns the time of the first request of each connection to the Developer API.
    pub fn connections(&self) -> Vec<Instant> {
        self.developer_api.connections()
    }

    /// Returns every request to QStash so far.
    pub fn qstash_requests(&self) -> Vec<ReceivedRequest> {
        self.qstash.requests()
    }
}

fn reset(account: &SharedAccount, id: &str) {
    let mut account = locked(account);
    let token = account.next_token.take().unwrap_or_else(|| new_token(id));
    if let Some(user) = account.users.get_mut(id) {
        (user.token, user.read_only_token) = (token, new_token(id));
        user.resets += 1;
    }
}

/// Returns a token in the form of a real one, which decodes as JSON with a user and a password.
fn new_token(id: &str) -> String {
    STANDARD.encode(json!({"UserID": id, "Password": random_hex(16)}).to_string())
}

fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    OsRng.fill_bytes(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn error(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}

fn is_authorized(account: &SharedAccount, headers: &HeaderMap) -> bool {
    let expected = STANDARD.encode(format!("{EMAIL}:{}", locked(account).api_key));
    headers.get("authorization").is_some_and(|sent| sent == &format!("Basic {expected}"))
}

async fn list(State(account): State<SharedAccount>, headers: HeaderMap) -> Response {
    if !is_authorized(&account, &headers) {
        return error(StatusCode::UNAUTHORIZED, "invalid email or api key");
    }
    let users: Vec<Value> =
        locked(&account).users.iter().map(|(id, user)| describe(id, user)).collect();
    Json(users).into_response()
}

async fn show(
    State(account): State<SharedAccount>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !is_authorized(&account, &headers) {
        return error(StatusCode::UNAUTHORIZED, "invalid email or api key");
    }
    match locked(&account).users.get(&id) {
        Some(user) => Json(describe(&id, user)).into_response(),
        None => error(StatusCode::NOT_FOUND, "qstash user not found"),
    }
}

async fn rotate(
    State(account): State<SharedAccount>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !is_authorized(&account, &headers) {
        return error(StatusCode::UNAUTHORIZED, "invalid email or api key");
    }
    if !locked(&account).users.contains_key(&id) {
        return error(StatusCode::NOT_FOUND, "qstash user not found");
    }
    let fault = {
        let mut account = locked(&account);
        (!account.faults.is_empty()).then(|| account.faults.remove(0))
    };
    let gateway = || (StatusCode::GATEWAY_TIMEOUT, "<html>504 Gateway Time-out</html>");
    match fault {
        None => {
            reset(&account, &id);
            after_reset(&account, &id)
        }
        Some(ResetFault::OldTokenStaysAccepted) => {
            if let Some(user) = locked(&account).users.get_mut(&id) {
                user.old_token = Some(user.token.clone());
            }
            reset(&account, &id);
            after_reset(&account, &id)
        }
        Some(ResetFault::Refused(status, body)) => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), body).into_response()
        }
        Some(ResetFault::ResponseLost) => {
            reset(&account, &id);
            gateway().into_response()
        }
        Some(ResetFault::TakesEffectAfter(pause)) => {
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                reset(&account, &id);
            });
            gateway().into_response()
        }
        Some(ResetFault::NoTokenInResponse) => {
            reset(&account, &id);
            Json("OK").into_response()
        }
        Some(ResetFault::NoEffect) => gateway().into_response(),
    }
}

fn after_reset(account: &SharedAccount, id: &str) -> Response {
    let user = locked(account).users.get(id).map(|user| describe(id, user));
    Json(user).into_response()
}

/// Accepts tokens and read-only tokens. `qstash.upstash.io` responds with this 404 to a token of another
/// region. Its text is not documented but was reported by several users.
async fn parallelism(State(account): State<SharedAccount>, headers: HeaderMap) -> Response {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = sent.and_then(|value| value.strip_prefix("Bearer "));
    let account = locked(&account);
    let is_known = |user: &User| {
        [Some(&user.token), Some(&user.read_only_token), user.old_token.as_ref()]
            .into_iter()
            .flatten()
            .any(|known| token == Some(known.as_str()))
    };
    let Some((id, user)) = account.users.iter().find(|(_, user)| is_known(user)) else {
        return error(StatusCode::UNAUTHORIZED, "unable to authenticate: invalid token");
    };
    match account.region {
        Some(region) if region != user.region => {
            let text = format!("user ({id}) not found in this region ({region})");
            error(StatusCode::NOT_FOUND, &text)
        }
        _ => Json(json!({"parallelismMax": 100, "parallelismCount": 0})).into_response(),
    }
}

/// Returns a `QStashUser` with every documented field.
fn describe(id: &str, user: &User) -> Value {
    json!({
        "customer_id": EMAIL,
        "id": id,
        "token": user.token,
        "read_only_token": user.read_only_token,
        "active": true,
        "state": "active",
        "last_plan_upgrade_time": 0,
        "max_requests_per_day": 1000,
        "max_requests_per_second": 100,
        "max_topics": 1,
        "max_endpoints_per_topic": 100,
        "max_body_size": 1_048_576,
        "max_retries": 3,
        "max_schedules": 10,
        "max_queues": 10,
        "max_queue_parallelism": 2,
        "max_parallelism": 10,
        "max_message_delay": 604_800,
        "max_dlq_size": 100,
        "prod_pack_enabled": false,
        "prometheus_enabled": "false",
        "timeout": 900,
        "type": "free",
        "region": user.region,
        "reserved_type": "",
        "reserved_price": 0,
        "created_by": EMAIL,
        "creation_time": 1_700_000_000,
        "deletion_time": 0,
        "budget": 0,
    })
}
