//! Secrets, their versions and staging labels, and the operations on them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ACCOUNT, CURRENT, EXPIRED, REGION};

const PREVIOUS: &str = "AWSPREVIOUS";
/// When the first version of every secret was created.
const EPOCH: usize = 1_700_000_000;

#[derive(Debug, Default)]
pub(super) struct Vault {
    pub(super) secrets: BTreeMap<String, FakeSecret>,
    /// Values that another program writes just before the next write, by secret.
    pub(super) external_writes: BTreeMap<String, String>,
    /// The caller's account, if it is not the account of the secrets.
    pub(super) caller_account: Option<&'static str>,
    pub(super) is_expired: bool,
    pub(super) expires_at_next_put: bool,
    /// How many of the next writes that change something are refused.
    pub(super) throttled_puts: usize,
    /// How many of the next reads show the state before the last write.
    pub(super) lagging_values: usize,
    pub(super) lagging_descriptions: usize,
}

#[derive(Debug, Default)]
pub(super) struct FakeSecret {
    pub(super) versions: BTreeMap<String, Version>,
    pub(super) stages: Stages,
    /// The stages before the last write.
    stages_before: Stages,
    pub(super) is_deleted: bool,
    pub(super) is_unreadable: bool,
    pub(super) is_unwritable: bool,
    pub(super) is_binary: bool,
    pub(super) owning_service: Option<&'static str>,
    pub(super) primary_region: Option<&'static str>,
    pub(super) replicas: Vec<Replica>,
}

/// The version at each staging label.
type Stages = BTreeMap<&'static str, String>;

/// The state of a secret's copy in another region.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) region: &'static str,
    pub(super) status: &'static str,
    pub(super) why: String,
}

#[derive(Debug)]
pub(super) struct Version {
    pub(super) value: String,
    /// In seconds; each version is created in a second of its own.
    created: usize,
}

pub(super) type Refusal = (&'static str, String);

pub(super) fn arn(name: &str) -> String {
    format!("{}-AbCdEf", partial_arn(name))
}

fn partial_arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}")
}

/// Returns whether an ARN ends like a complete one. Secrets Manager does not treat it as a partial ARN
/// then (docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html).
fn seems_complete(arn: &str) -> bool {
    arn.rsplit_once('-').is_some_and(|(_, end)| end.len() == 6)
}

fn not_found() -> Refusal {
    ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".to_owned())
}

impl Vault {
    pub(super) fn carry_out(&mut self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        let field = |name: &str| input[name].as_str().map(str::to_owned);
        if operation == "CreateSecret" {
            return self.create(field("Name").ok_or_else(not_found)?, input);
        }
        let id = field("SecretId").unwrap_or_default();
        let is_meant = |name: &str| {
            id == name || id == arn(name) || id == partial_arn(name) && !seems_complete(&id)
        };
        let known = self.secrets.keys().find(|name| is_meant(name)).cloned();
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
        if take_one(&mut self.throttled_puts) {
            return Err(("ThrottlingException", "Rate exceeded".to_owned()));
        }
        Ok(())
    }

    fn secret(&self, name: &str) -> Result<&FakeSecret, Refusal> {
        self.secrets.get(name).ok_or_else(not_found)
    }

    fn create(&mut self, name: String, input: &Value) -> Result<Value, Refusal> {
        if let Some(secret) = self.secrets.get(&name) {
            let version = request_token(input)?;
            let stored = secret.versions.get(&version).map(|stored| stored.value.as_str());
            if stored.is_some() && stored == input["SecretString"].as_str() {
                return Ok(json!({"ARN": arn(&name), "Name": name, "VersionId": version}));
            }
            let why = format!("The operation failed because the secret {name} already exists.");
            return Err(("ResourceExistsException", why));
        }
        let version = request_token(input)?;
        let mut secret = FakeSecret::default();
        secret.promote(version.clone(), input["SecretString"].as_str().unwrap_or_default());
        let output = json!({"ARN": arn(&name), "Name": name, "VersionId": version});
        self.secrets.insert(name, secret);
        Ok(output)
    }

    fn describe(&mut self, name: &str) -> Result<Value, Refusal> {
        let is_lagging = take_one(&mut self.lagging_descriptions);
        let secret = self.secret(name)?;
        let mut stages: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
        for (stage, version) in secret.stages_seen(is_lagging) {
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
        let replica = |replica: &Replica| json!({"Region": replica.region, "Status": replica.status, "StatusMessage": replica.why});
        if !secret.replicas.is_empty() {
            output["ReplicationStatus"] = secret.replicas.iter().map(replica).collect();
        }
        Ok(output)
    }

    fn get(&mut self, name: &str, version: Option<String>) -> Result<Value, Refusal> {
        let is_lagging = version.is_none() && take_one(&mut self.lagging_values);
        let secret = self.secret(name)?;
        secret.refuse_deleted()?;
        if secret.is_unreadable {
            let why = "not authorized to perform: secretsmanager:GetSecretValue".to_owned();
            return Err(("AccessDeniedException", why));
        }
        let current = || secret.stages_seen(is_lagging).get(CURRENT).cloned();
        let version = version.or_else(current).ok_or_else(not_found)?;
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
        if self.secret(name)?.is_unwritable {
            let why = "not authorized to perform: secretsmanager:PutSecretValue".to_owned();
            return Err(("AccessDeniedException", why));
        }
        let is_known = self.secret(name)?.versions.contains_key(&version);
        if !is_known {
            self.refuse_change()?;
        }
        let external = if is_known { None } else { self.external_writes.remove(name) };
        let secret = self.secrets.get_mut(name).ok_or_else(not_found)?;
        secret.refuse_deleted()?;
        secret.refuse_others()?;
        if let Some(theirs) = external {
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

impl FakeSecret {
    pub(super) fn promote(&mut self, version: String, value: &str) {
        let created = EPOCH + self.versions.len();
        self.versions.insert(version.clone(), Version { value: value.to_owned(), created });
        self.move_current_to(version);
    }

    /// Returns the stages that a read shows.
    fn stages_seen(&self, is_lagging: bool) -> &Stages {
        if is_lagging { &self.stages_before } else { &self.stages }
    }

    pub(super) fn roll_back(&mut self) {
        if let Some(version) = self.stages.remove(PREVIOUS) {
            self.move_current_to(version);
        }
    }

    fn move_current_to(&mut self, version: String) {
        self.stages_before = self.stages.clone();
        if let Some(replaced) = self.stages.insert(CURRENT, version) {
            self.stages.insert(PREVIOUS, replaced);
        }
    }

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

/// Decrements `left`. Returns whether it was above zero.
fn take_one(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}
