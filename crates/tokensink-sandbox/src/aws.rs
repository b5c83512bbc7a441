//! The stand-in for AWS Secrets Manager: its JSON protocol, versions and staging labels.
//!
//! Behaviour follows docs.aws.amazon.com/secretsmanager/latest/apireference. Signatures are not
//! verified; that a request is signed with the right key id is.

use std::collections::BTreeMap;
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

use crate::network::{Network, Protocol};
use crate::server::{Request, Server, locked};

const ACCESS_KEY_ID: &str = "AKIDSTANDIN";
const REGION: &str = "eu-central-1";
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
/// When the first version of every secret was made.
const EPOCH: usize = 1_700_000_000;
const EXPIRED: &str = "The security token included in the request is expired";

/// AWS Secrets Manager.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    vault: Shared,
}

type Shared = Arc<Mutex<Vault>>;

#[derive(Debug, Default)]
struct Vault {
    secrets: BTreeMap<String, Secret>,
    strangers: BTreeMap<String, String>,
    is_expired: bool,
    expires_at_next_put: bool,
    /// So many of the next writes that change something are refused.
    throttled_puts: usize,
}

#[derive(Debug, Default)]
struct Secret {
    versions: BTreeMap<String, Version>,
    stages: BTreeMap<&'static str, String>,
    is_deleted: bool,
    is_unreadable: bool,
    is_binary: bool,
    owning_service: Option<&'static str>,
    primary_region: Option<&'static str>,
}

#[derive(Debug)]
struct Version {
    value: String,
    /// In seconds, as the clock of a server shows them that is never asked twice in one.
    created: usize,
}

type Refusal = (&'static str, String);

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
    pub fn put_as_stranger(&self, name: &str, value: &str) {
        let mut vault = locked(&self.vault);
        let secret = vault.secrets.entry(name.to_owned()).or_default();
        let version = format!("{:036}", secret.versions.len());
        secret.promote(version, value);
    }

    /// Adds a secret that holds bytes instead of a text.
    pub fn put_binary(&self, name: &str) {
        // In base64, as it goes over the wire.
        self.put_as_stranger(name, "AAEC");
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
        self.change(name, |secret| {
            if let Some(version) = secret.stages.remove(PREVIOUS) {
                secret.move_current_to(version);
            }
        });
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

impl Secret {
    fn promote(&mut self, version: String, value: &str) {
        let created = EPOCH + self.versions.len();
        self.versions.insert(version.clone(), Version { value: value.to_owned(), created });
        self.move_current_to(version);
    }

    fn move_current_to(&mut self, version: String) {
        if let Some(replaced) = self.stages.insert(CURRENT, version) {
            self.stages.insert(PREVIOUS, replaced);
        }
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

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:{name}-AbCdEf")
}

fn not_found() -> Refusal {
    ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".to_owned())
}

impl Vault {
    fn carry_out(&mut self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        let field = |name: &str| input[name].as_str().map(str::to_owned);
        if operation == "CreateSecret" {
            return self.create(field("Name").ok_or_else(not_found)?, input);
        }
        let id = field("SecretId").unwrap_or_default();
        let known = self.secrets.keys().find(|name| id == **name || id == arn(name)).cloned();
        let name = known.ok_or_else(not_found)?;
        match operation {
            "DescribeSecret" => self.describe(&name),
            "GetSecretValue" => self.get(&name, field("VersionId")),
            "PutSecretValue" => self.put(&name, input),
            _ => Err(("InvalidRequestException", format!("{operation} is not known here"))),
        }
    }

    fn refuse_change(&mut self) -> Result<(), Refusal> {
        if self.expires_at_next_put {
            self.is_expired = true;
            return Err(("ExpiredTokenException", EXPIRED.to_owned()));
        }
        match self.throttled_puts.checked_sub(1) {
            Some(left) => {
                self.throttled_puts = left;
                Err(("ThrottlingException", "Rate exceeded".to_owned()))
            }
            None => Ok(()),
        }
    }

    fn secret(&self, name: &str) -> Result<&Secret, Refusal> {
        self.secrets.get(name).ok_or_else(not_found)
    }

    fn create(&mut self, name: String, input: &Value) -> Result<Value, Refusal> {
        if self.secrets.contains_key(&name) {
            let why = format!("The operation failed because the secret {name} already exists.");
            return Err(("ResourceExistsException", why));
        }
        let version = request_token(input)?;
        let mut secret = Secret::default();
        secret.promote(version.clone(), input["SecretString"].as_str().unwrap_or_default());
        let output = json!({"ARN": arn(&name), "Name": name, "VersionId": version});
        self.secrets.insert(name, secret);
        Ok(output)
    }

    fn describe(&self, name: &str) -> Result<Value, Refusal> {
        let secret = self.secret(name)?;
        let mut stages: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
        for (stage, version) in &secret.stages {
            stages.entry(version).or_default().push(stage);
        }
        let mut output = json!({"ARN": arn(name), "Name": name, "VersionIdsToStages": stages});
        if secret.is_deleted {
            output["DeletedDate"] = json!(EPOCH);
        }
        if let Some(service) = secret.owning_service {
            output["OwningService"] = json!(service);
        }
        if let Some(region) = secret.primary_region {
            output["PrimaryRegion"] = json!(region);
        }
        Ok(output)
    }

    fn get(&self, name: &str, version: Option<String>) -> Result<Value, Refusal> {
        let secret = self.secret(name)?;
        secret.refuse_deleted()?;
        if secret.is_unreadable {
            let why = "not authorized to perform: secretsmanager:GetSecretValue".to_owned();
            return Err(("AccessDeniedException", why));
        }
        let version =
            version.or_else(|| secret.stages.get(CURRENT).cloned()).ok_or_else(not_found)?;
        let Version { value, created } = secret.versions.get(&version).ok_or_else(not_found)?;
        let field = if secret.is_binary { "SecretBinary" } else { "SecretString" };
        Ok(json!({
            "ARN": arn(name),
            "Name": name,
            "VersionId": version,
            "CreatedDate": created,
            field: value,
        }))
    }

    fn put(&mut self, name: &str, input: &Value) -> Result<Value, Refusal> {
        let version = request_token(input)?;
        let Some(value) = input["SecretString"].as_str().filter(|value| !value.is_empty()) else {
            return Err(("InvalidRequestException", "You must provide a value.".to_owned()));
        };
        let is_known = self.secret(name)?.versions.contains_key(&version);
        if !is_known {
            self.refuse_change()?;
        }
        let stranger = if is_known { None } else { self.strangers.remove(name) };
        let secret = self.secrets.get_mut(name).ok_or_else(not_found)?;
        secret.refuse_deleted()?;
        secret.refuse_others()?;
        if let Some(theirs) = stranger {
            secret.promote(format!("{:036}", secret.versions.len()), &theirs);
        }
        match secret.versions.get(&version) {
            Some(stored) if stored.value == value => {}
            Some(_) => {
                let why = format!(
                    "You can't use ClientRequestToken {version} because that value is already in use for a version of secret {name}."
                );
                return Err(("ResourceExistsException", why));
            }
            None => secret.promote(version.clone(), value),
        }
        Ok(json!({"ARN": arn(name), "Name": name, "VersionId": version}))
    }
}

impl Secret {
    fn refuse_deleted(&self) -> Result<(), Refusal> {
        if self.is_deleted {
            let why = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(("InvalidRequestException", why.to_owned()));
        }
        Ok(())
    }

    fn refuse_others(&self) -> Result<(), Refusal> {
        let why = if let Some(service) = self.owning_service {
            format!("You can't perform this operation on a secret managed by {service}.")
        } else if let Some(region) = self.primary_region.filter(|region| *region != REGION) {
            format!("Operation not permitted on a replica secret: call {region}.")
        } else {
            return Ok(());
        };
        Err(("InvalidRequestException", why))
    }
}

fn request_token(input: &Value) -> Result<String, Refusal> {
    let token = input["ClientRequestToken"].as_str().unwrap_or_default();
    if (32..=64).contains(&token.len()) {
        return Ok(token.to_owned());
    }
    Err((
        "InvalidParameterException",
        "ClientRequestToken must be 32-64 characters long.".to_owned(),
    ))
}
