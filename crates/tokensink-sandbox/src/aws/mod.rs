//! A fake of AWS Secrets Manager, and of the one operation of AWS STS that names the caller.
//!
//! Behaviour follows docs.aws.amazon.com/secretsmanager/latest/apireference and
//! docs.aws.amazon.com/STS/latest/APIReference. The key id of a request is verified; its signature
//! is not.

mod vault;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use self::vault::{FakeSecret, Refusal, Replica, Vault};
use crate::network::Network;
use crate::protocol::Protocol;
use crate::server::{ReceivedRequest, Server, locked};

const ACCESS_KEY_ID: &str = "AKIDFAKE";
const REGION: &str = "eu-central-1";
/// The account of every secret, and of the caller unless a test changes that.
const ACCOUNT: &str = "123456789012";
const CURRENT: &str = "AWSCURRENT";
const IDENTITY: &str = "Action=GetCallerIdentity";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const EXPIRED: &str = "The security token included in the request is expired";

/// The fake. It stops when it is dropped.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    vault: Shared,
}

type Shared = Arc<Mutex<Vault>>;

impl Aws {
    /// Starts the server without secrets.
    ///
    /// # Errors
    ///
    /// When no port on loopback is available.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts the server behind a simulated network.
    ///
    /// # Errors
    ///
    /// When no port on loopback is available.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        let vault = Shared::default();
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&vault));
        Ok(Self { server: Server::start(router, network, Protocol::Http1).await?, vault })
    }

    /// Returns the endpoint's URL, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the region of every secret.
    pub fn region(&self) -> &str {
        REGION
    }

    /// Returns the only access key id that is accepted, with any secret access key.
    pub fn access_key_id(&self) -> &str {
        ACCESS_KEY_ID
    }

    /// Returns the full ARN of the secret `name`.
    pub fn arn(&self, name: &str) -> String {
        vault::arn(name)
    }

    /// Moves the caller into another account: every secret is in a foreign one then.
    pub fn move_caller_to_account(&self, account: &'static str) {
        locked(&self.vault).caller_account = Some(account);
    }

    /// Adds a secret, or a version to one, as another program would.
    pub fn put_externally(&self, name: &str, value: &str) {
        let mut vault = locked(&self.vault);
        let secret = vault.secrets.entry(name.to_owned()).or_default();
        let version = format!("{:036}", secret.versions.len());
        secret.promote(version, value);
    }

    /// Adds a secret whose value is binary.
    pub fn put_binary(&self, name: &str) {
        // In base64, as it goes over the wire.
        self.put_externally(name, "AAEC");
        self.change(name, |secret| secret.is_binary = true);
    }

    /// Expires every credential.
    pub fn expire_credentials(&self) {
        locked(&self.vault).is_expired = true;
    }

    /// Makes the credentials valid again.
    pub fn renew_credentials(&self) {
        let mut vault = locked(&self.vault);
        (vault.is_expired, vault.expires_at_next_put) = (false, false);
    }

    /// Throttles the next `refusals` writes that would change something.
    pub fn throttle_next_puts(&self, refusals: usize) {
        locked(&self.vault).throttled_puts = refusals;
    }

    /// Makes the next `reads` of a value return the one before the last write. Secrets Manager is
    /// eventually consistent.
    pub fn lag_next_values(&self, reads: usize) {
        locked(&self.vault).lagging_values = reads;
    }

    /// Makes the next `reads` descriptions show the versions before the last write.
    pub fn lag_next_descriptions(&self, reads: usize) {
        locked(&self.vault).lagging_descriptions = reads;
    }

    /// Expires the credential just before the next write that would change something.
    pub fn expire_at_next_put(&self) {
        locked(&self.vault).expires_at_next_put = true;
    }

    /// Writes `value` as another program just before the next write to `name` that changes anything.
    pub fn interfere_with_next_put(&self, name: &str, value: &str) {
        locked(&self.vault).external_writes.insert(name.to_owned(), value.to_owned());
    }

    /// Makes the previous version the current one again, as an operator does to undo a change.
    pub fn roll_back(&self, name: &str) {
        self.change(name, FakeSecret::roll_back);
    }

    /// Schedules a secret for deletion.
    pub fn delete(&self, name: &str) {
        self.change(name, |secret| secret.is_deleted = true);
    }

    /// Removes the caller's permission to read the value.
    pub fn forbid_reading(&self, name: &str) {
        self.change(name, |secret| secret.is_unreadable = true);
    }

    /// Removes the caller's permission to put a value.
    pub fn forbid_writing(&self, name: &str) {
        self.change(name, |secret| secret.is_unwritable = true);
    }

    /// Gives a secret a replica with this status: `InSync`, `InProgress` or `Failed`.
    pub fn replicate(&self, name: &str, region: &'static str, status: &'static str, why: &str) {
        let why = why.to_owned();
        self.change(name, |secret| secret.replicas.push(Replica { region, status, why }));
    }

    /// Makes a secret one that is managed by another service, such as `rds`.
    pub fn hand_over_to(&self, name: &str, service: &'static str) {
        self.change(name, |secret| secret.owning_service = Some(service));
    }

    /// Makes a secret the replica of one in another region.
    pub fn make_replica_of(&self, name: &str, primary_region: &'static str) {
        self.change(name, |secret| secret.primary_region = Some(primary_region));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut FakeSecret)) {
        if let Some(secret) = locked(&self.vault).secrets.get_mut(name) {
            change(secret);
        }
    }

    /// Returns the current value, as an application would read it.
    pub fn value(&self, name: &str) -> Option<String> {
        let vault = locked(&self.vault);
        let secret = vault.secrets.get(name)?;
        let current = secret.versions.get(secret.stages.get(CURRENT)?)?;
        Some(current.value.clone())
    }

    /// Counts a secret's versions.
    pub fn versions(&self, name: &str) -> usize {
        locked(&self.vault).secrets.get(name).map_or(0, |secret| secret.versions.len())
    }

    /// Returns every request so far. The operation is in [`ReceivedRequest::operation`]; a request to STS has
    /// none.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.server.requests()
    }

    /// Returns the time of each connection's first request.
    pub fn connections(&self) -> Vec<Instant> {
        self.server.connections()
    }
}

async fn answer(State(vault): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let signed = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/");
    let mut vault = locked(&vault);
    let is_signed = if !text("authorization").starts_with(&signed) {
        let message = "The security token included in the request is invalid.";
        Err(("UnrecognizedClientException", message.to_owned()))
    } else if vault.is_expired {
        Err(("ExpiredTokenException", EXPIRED.to_owned()))
    } else {
        Ok(())
    };
    let operation = text("x-amz-target").rsplit('.').next().unwrap_or_default();
    if operation.is_empty() {
        return identity(is_signed, vault.caller_account.unwrap_or(ACCOUNT), &body);
    }
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, body) = match is_signed.and_then(|()| vault.carry_out(operation, &input)) {
        Ok(output) => (StatusCode::OK, output),
        Err((code, message)) => {
            (StatusCode::BAD_REQUEST, json!({"__type": code, "Message": message}))
        }
    };
    (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}

/// Responds as AWS STS does, in the query protocol.
fn identity(is_signed: Result<(), Refusal>, account: &str, body: &[u8]) -> Response {
    let is_known = String::from_utf8_lossy(body).split('&').any(|field| field == IDENTITY);
    let outcome = is_signed.and_then(|()| {
        is_known.then_some(()).ok_or(("InvalidAction", "The action is not valid.".to_owned()))
    });
    let (status, body) = match outcome {
        Ok(()) => {
            let result = format!(
                "<Arn>arn:aws:iam::{account}:user/tester</Arn><UserId>AIDATESTER</UserId>\
                 <Account>{account}</Account>"
            );
            let body = format!(
                "<GetCallerIdentityResponse xmlns=\"{STS_NAMESPACE}\"><GetCallerIdentityResult>\
                 {result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
            );
            (StatusCode::OK, body)
        }
        Err((code, message)) => {
            let error = format!("<Code>{code}</Code><Message>{message}</Message>");
            let body = format!(
                "<ErrorResponse xmlns=\"{STS_NAMESPACE}\"><Error><Type>Sender</Type>{error}</Error>\
                 </ErrorResponse>"
            );
            (StatusCode::FORBIDDEN, body)
        }
    };
    (status, [("content-type", "text/xml")], body).into_response()
}
