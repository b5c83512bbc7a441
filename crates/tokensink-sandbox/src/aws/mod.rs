//! The stand-in for AWS Secrets Manager: its JSON protocol, and what tests do to it.
//!
//! Behaviour follows docs.aws.amazon.com/secretsmanager/latest/apireference. Signatures are not
//! verified; that a request is signed with the right key id is.

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

use self::vault::{Secret, Vault};
use crate::network::Network;
use crate::protocol::Protocol;
use crate::server::{Request, Server, locked};

const ACCESS_KEY_ID: &str = "AKIDSTANDIN";
const REGION: &str = "eu-central-1";
const CURRENT: &str = "AWSCURRENT";
const EXPIRED: &str = "The security token included in the request is expired";

/// AWS Secrets Manager.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    vault: Shared,
}

type Shared = Arc<Mutex<Vault>>;

impl Aws {
    /// Starts it, empty.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts it at a distance.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        let vault = Shared::default();
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&vault));
        Ok(Self { server: Server::start(router, network, Protocol::Http1).await?, vault })
    }

    /// Its endpoint.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its region.
    pub fn region(&self) -> &str {
        REGION
    }

    /// The only access key id that it lets in; any secret access key does.
    pub fn access_key_id(&self) -> &str {
        ACCESS_KEY_ID
    }

    /// Adds a secret, or a version to one, as somebody else would.
    pub fn put_externally(&self, name: &str, value: &str) {
        let mut vault = locked(&self.vault);
        let secret = vault.secrets.entry(name.to_owned()).or_default();
        let version = format!("{:036}", secret.versions.len());
        secret.promote(version, value);
    }

    /// Adds a secret that holds bytes instead of a text.
    pub fn put_binary(&self, name: &str) {
        // In base64, as it goes over the wire.
        self.put_externally(name, "AAEC");
        self.change(name, |secret| secret.is_binary = true);
    }

    /// From now on every credential has expired.
    pub fn expire_credentials(&self) {
        locked(&self.vault).is_expired = true;
    }

    /// From now on the credentials are new ones.
    pub fn renew_credentials(&self) {
        let mut vault = locked(&self.vault);
        (vault.is_expired, vault.expires_at_next_put) = (false, false);
    }

    /// So many of the next writes that change something are too many for the moment.
    pub fn throttle_next_puts(&self, refusals: usize) {
        locked(&self.vault).throttled_puts = refusals;
    }

    /// The credential expires just before the next write that changes something.
    pub fn expire_at_next_put(&self) {
        locked(&self.vault).expires_at_next_put = true;
    }

    /// Somebody else writes `value` just before the next write to `name` that changes anything.
    pub fn interfere_with_next_put(&self, name: &str, value: &str) {
        locked(&self.vault).strangers.insert(name.to_owned(), value.to_owned());
    }

    /// Makes the version before the current one again, as an operator would who takes a change back.
    pub fn roll_back(&self, name: &str) {
        self.change(name, Secret::roll_back);
    }

    /// Schedules a secret for deletion.
    pub fn delete(&self, name: &str) {
        self.change(name, |secret| secret.is_deleted = true);
    }

    /// Takes the right to read the value away.
    pub fn forbid_reading(&self, name: &str) {
        self.change(name, |secret| secret.is_unreadable = true);
    }

    /// From now on a secret is another service's own, such as `rds`.
    pub fn hand_over_to(&self, name: &str, service: &'static str) {
        self.change(name, |secret| secret.owning_service = Some(service));
    }

    /// From now on a secret is the replica of one in another region.
    pub fn make_replica_of(&self, name: &str, primary_region: &'static str) {
        self.change(name, |secret| secret.primary_region = Some(primary_region));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Secret)) {
        if let Some(secret) = locked(&self.vault).secrets.get_mut(name) {
            change(secret);
        }
    }

    /// The current value, as an application would read it.
    pub fn value(&self, name: &str) -> Option<String> {
        let vault = locked(&self.vault);
        let secret = vault.secrets.get(name)?;
        let current = secret.versions.get(secret.stages.get(CURRENT)?)?;
        Some(current.value.clone())
    }

    /// How many versions a secret has.
    pub fn versions(&self, name: &str) -> usize {
        locked(&self.vault).secrets.get(name).map_or(0, |secret| secret.versions.len())
    }

    /// Every request so far; the operation is in [`Request::operation`].
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// When each connection brought its first request.
    pub fn connections(&self) -> Vec<Instant> {
        self.server.connections()
    }
}

async fn answer(State(vault): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let signed = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/");
    let outcome = if text("authorization").starts_with(&signed) {
        let operation = text("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
        let input: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut vault = locked(&vault);
        if vault.is_expired {
            Err(("ExpiredTokenException", EXPIRED.to_owned()))
        } else {
            vault.carry_out(&operation, &input)
        }
    } else {
        Err((
            "UnrecognizedClientException",
            "The security token included in the request is invalid.".to_owned(),
        ))
    };
    let (status, body) = match outcome {
        Ok(output) => (StatusCode::OK, output),
        Err((code, message)) => {
            (StatusCode::BAD_REQUEST, json!({"__type": code, "Message": message}))
        }
    };
    (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}
