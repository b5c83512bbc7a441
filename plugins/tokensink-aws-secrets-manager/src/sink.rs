//! The sink: prepares and inspects a secret.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType};
use tokensink_core::{
    Content, Inspection, Preparation, RateLimit, RateLimits, Receipt, SinkError, SinkErrorKind,
    SinkInfo, Survey, TakesEffect, TargetId, TokenSink, WriteEstimate,
};
use tokensink_http::excerpt;
use zeroize::Zeroizing;

use crate::client::{Account, Connection};
use crate::endpoint::Endpoint;
use crate::failure::is_denied;
use crate::secret_id::SecretId;
use crate::value::Shape;
use crate::write::{Create, Put, unproven};

const KIND: &str = "aws-secrets-manager";
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The limit on PutSecretValue and similar operations per region: 50 a second
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const WRITES: RateLimit = RateLimit { requests: 50, per: Duration::from_secs(1) };

/// The SDK opens a connection for each concurrent request.
const CONCURRENT: usize = 100;

/// One secret.
#[derive(Clone, Debug)]
pub struct AwsSink {
    info: SinkInfo,
    secret_id: SecretId,
    shape: Shape,
    replace: Replace,
    account: Arc<Account>,
    ours: Arc<Mutex<Option<OurWrite>>>,
}

/// The permitted effects of a write besides replacing a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replace {
    /// Add keys, or create the secret.
    pub(crate) create: bool,
    /// Overwrite what was recognized as something other than a token.
    pub(crate) anything: bool,
}

/// Our last write: its version, and the version whose value the token was merged into.
#[derive(Clone, Debug)]
pub(crate) struct OurWrite {
    pub(crate) version: String,
    pub(crate) base: String,
    /// Whether the write has overwritten an external write.
    pub(crate) lost_external_write: bool,
}

/// The value of a version.
pub(crate) struct Held {
    pub(crate) version: String,
    pub(crate) value: Zeroizing<String>,
    created: Option<DateTime>,
    /// Whether the value is an external write before this version, which this version has overwritten.
    pub(crate) is_external: bool,
}

impl OurWrite {
    fn recorded_in(receipt: &Receipt) -> Option<Self> {
        let fact = |name| receipt.get(name).map(str::to_owned);
        Some(Self { version: fact("version")?, base: fact("base")?, lost_external_write: false })
    }
}

impl AwsSink {
    pub(crate) fn new(
        secret_id: SecretId,
        shape: Shape,
        replace: Replace,
        account: Arc<Account>,
    ) -> Self {
        let info = sink_info(&secret_id, &shape, &account);
        Self { info, secret_id, shape, replace, account, ours: Arc::default() }
    }

    async fn describe(&self) -> Result<DescribeSecretOutput, SinkError> {
        let request =
            self.account.client().await?.describe_secret().secret_id(self.secret_id.as_str());
        request.send().await.map_err(|error| self.account.explain("describe the secret", &error))
    }

    /// Reads the value of `version`, or of the current version.
    async fn read(&self, version: Option<&str>) -> Result<Held, SinkError> {
        let request =
            self.account.client().await?.get_secret_value().secret_id(self.secret_id.as_str());
        let request = match version {
            Some(version) => request.version_id(version),
            None => request.version_stage(CURRENT),
        };
        let response = request
            .send()
            .await
            .map_err(|error| self.account.explain("read the secret", &error))?;
        let Some(value) = response.secret_string else {
            return Err(SinkError::rejected("its value is binary, not text")
                .with_help("name a secret whose value is a text"));
        };
        Ok(Held {
            version: response.version_id.unwrap_or_default(),
            value: Zeroizing::new(value),
            created: response.created_date,
            is_external: false,
        })
    }

    /// Returns our last write if it is the current version. It is known from this run or from the receipt
    /// of an earlier one. Not needed for a plain secret, whose write does not merge values.
    fn our_write(&self, current: &Held, last: Option<&Receipt>) -> Option<OurWrite> {
        if matches!(self.shape, Shape::Plain) {
            return None;
        }
        let known = self.ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ours = known.or_else(|| last.and_then(OurWrite::recorded_in));
        ours.filter(|ours| ours.version == current.version)
    }

    /// Reads the value that the token is merged into. If our last write has overwritten an external write,
    /// this is the value of the external write, because ours does not contain its changes.
    async fn base(&self, described: &DescribeSecretOutput) -> Result<Held, SinkError> {
        let current = self.read(None).await?;
        let external = match self.our_write(&current, None) {
            Some(ours) => self.external_write_between(described, &ours, &current).await?,
            None => None,
        };
        Ok(match external {
            Some(external) => Held { version: current.version, is_external: true, ..external },
            None => current,
        })
    }

    /// Returns the external write between the base of our write and our write, if there is one.
    async fn external_write_between(
        &self,
        described: &DescribeSecretOutput,
        ours: &OurWrite,
        current: &Held,
    ) -> Result<Option<Held>, SinkError> {
        // A description that lags behind our write shows the version before the base.
        if version_at(described, CURRENT) != Some(ours.version.as_str()) {
            return Ok(None);
        }
        let previous = version_at(described, PREVIOUS).filter(|previous| *previous != ours.base);
        let Some(previous) = previous else { return Ok(None) };
        let external = self.read(Some(previous)).await?;
        // A younger version was current after ours, until another program restored ours.
        Ok(Some(external).filter(|external| external.created <= current.created))
    }

    /// Returns whether the current version is a write of ours that has overwritten an external write. The
    /// next write merges both.
    async fn lost_external_write(
        &self,
        current: &Held,
        last: Option<&Receipt>,
    ) -> Result<bool, SinkError> {
        let Some(ours) = self.our_write(current, last) else { return Ok(false) };
        let external = self.external_write_between(&self.describe().await?, &ours, current).await?;
        if external.is_some() {
            let ours = OurWrite { lost_external_write: true, ..ours };
            *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
        }
        Ok(external.is_some())
    }

    fn refuse_unwritable(&self, described: &DescribeSecretOutput) -> Result<(), SinkError> {
        if described.deleted_date.is_some() {
            return Err(SinkError::rejected("the secret is scheduled for deletion")
                .with_help("restore it: aws secretsmanager restore-secret"));
        }
        if let Some(owner) = &described.owning_service {
            return Err(SinkError::rejected(format!("the secret is managed by {owner}"))
                .with_help("use a secret that is not managed by another service"));
        }
        match (&described.primary_region, &self.account.region) {
            (Some(primary), Some(region)) if primary != region => {
                let problem = format!("the secret here is a replica of the one in {primary}");
                Err(SinkError::rejected(problem).with_help(format!("set `region = \"{primary}\"`")))
            }
            _ => Ok(()),
        }
    }

    /// Compares the account of an ARN with the caller's. A name is always in the caller's account.
    async fn owner(&self) -> Owner {
        let Some(account) = self.secret_id.account() else { return Owner::Caller };
        match self.account.caller().await {
            Ok(caller) if caller == account => Owner::Caller,
            Ok(caller) => Owner::Other(format!("in AWS account {account}, not yours ({caller})")),
            Err(reason) => Owner::Unknown(format!(
                "it is in AWS account {account}; it is not known whether that is your account: {reason}"
            )),
        }
    }

    fn warnings(&self, described: &DescribeSecretOutput, connection: &Connection) -> Vec<String> {
        let mut warnings = Vec::new();
        if described.rotation_enabled == Some(true) {
            warnings.push("its rotation is on and may overwrite the token".to_owned());
        }
        warnings.extend(described.replication_status().iter().filter_map(behind));
        let endpoint = connection.endpoint.as_ref();
        warnings.extend(endpoint.and_then(Endpoint::warning));
        let sts = connection.sts.endpoint().filter(|_| self.secret_id.is_arn());
        let is_known = |sts: &Endpoint| endpoint.is_some_and(|other| other.host() == sts.host());
        if let Some(place) = sts.filter(|sts| !is_known(sts)).and_then(Endpoint::foreign_place) {
            warnings.push(format!("its account is requested at {place}"));
        }
        warnings
    }

    fn creation(&self, connection: &Connection, round_trip: Duration) -> Preparation {
        let create = Create {
            account: Arc::clone(&self.account),
            secret_id: self.secret_id.as_str().to_owned(),
            shape: self.shape.clone(),
        };
        Preparation::new(Box::new(create), WriteEstimate::one_request(round_trip))
            .with_readiness(unproven())
            .with_warnings(vec!["the secret does not exist yet and will be created".to_owned()])
            .with_foreign_destination(connection.endpoint.as_ref().and_then(Endpoint::destination))
    }
}

/// Returns the error for a write that has overwritten an external write.
pub(crate) fn external_write_lost() -> SinkError {
    SinkError::conflict("the write has overwritten a concurrent write of another program")
        .with_help("`tokensink sync` puts both into it")
}

/// The account that owns a secret.
enum Owner {
    Caller,
    /// Another account. The text names the destination in messages.
    Other(String),
    /// An unknown account. The text is the warning.
    Unknown(String),
}

/// Returns a warning about a replica that does not have the newest value.
fn behind(replica: &ReplicationStatusType) -> Option<String> {
    let region = replica.region().unwrap_or("another region");
    let message = excerpt(replica.status_message().unwrap_or_default());
    let message = if message.is_empty() { message } else { format!(": {message}") };
    match replica.status()? {
        StatusType::InSync => None,
        StatusType::InProgress => {
            Some(format!("its replica in {region} is not complete yet{message}"))
        }
        StatusType::Failed => Some(format!("its replica in {region} failed{message}")),
        other => Some(format!("its replica in {region} is {}{message}", other.as_str())),
    }
}

fn version_at<'a>(described: &'a DescribeSecretOutput, stage: &str) -> Option<&'a str> {
    let mut versions = described.version_ids_to_stages()?.iter();
    versions.find(|(_, of)| of.iter().any(|one| one == stage)).map(|(version, _)| version.as_str())
}

fn sink_info(secret_id: &SecretId, shape: &Shape, account: &Account) -> SinkInfo {
    let limits = RateLimits::concurrent(
        format!("aws-secrets-manager {:?} {:?}", account.profile, account.region),
        CONCURRENT,
    );
    let info = SinkInfo::new(
        target(secret_id, account),
        label(secret_id, shape, account),
        TakesEffect::OnRestart,
    )
    .with_rate_limits(limits.with_writes(WRITES));
    match &account.endpoint {
        Some(endpoint) => info.with_host(endpoint.host()),
        None => info,
    }
}

/// Returns a secret's identity without a request to AWS. An ARN is not changed, because its last seven
/// characters may be the random suffix or a part of the name. The preparation returns the resolved
/// identity.
fn target(secret_id: &SecretId, account: &Account) -> TargetId {
    let place = secret_id.as_str();
    if secret_id.is_arn() {
        return TargetId::new(KIND, place);
    }
    let region = account.region.as_deref().unwrap_or("default-region");
    let profile = account.profile.as_deref().map_or(String::new(), |name| format!("{name}@"));
    TargetId::new(KIND, format!("{profile}{region}/{place}"))
}

fn label(secret_id: &SecretId, shape: &Shape, account: &Account) -> String {
    let mut label = secret_id.as_str().to_owned();
    if let Shape::Keys(keys) = shape {
        label.push(' ');
        label.push_str(&keys.join(", "));
    }
    match &account.region {
        Some(region) if !secret_id.is_arn() => format!("{label} ({region})"),
        _ => label,
    }
}

#[async_trait]
impl TokenSink for AwsSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let connection = self.account.connection().await?;
        let started = Instant::now();
        let described = match self.describe().await {
            Err(error) if error.kind() == SinkErrorKind::NotFound && self.replace.create => {
                if self.secret_id.is_arn() {
                    return Err(
                        error.with_help("use the name instead of the ARN to create a secret")
                    );
                }
                self.shape.check("", true)?;
                return Ok(self.creation(connection, started.elapsed()));
            }
            described => described?,
        };
        self.refuse_unwritable(&described)?;
        // The connection is already open, so this request takes as long as the write will.
        let started = Instant::now();
        let read = async { (self.base(&described).await, started.elapsed()) };
        let ((base, round_trip), owner) = tokio::join!(read, self.owner());
        let mut warnings = self.warnings(&described, connection);
        let base = match (base, &self.shape) {
            (Ok(base), _) => Some(base),
            // The whole value is replaced, so it does not have to be read.
            (Err(error), Shape::Plain) if is_denied(&error) => {
                warnings
                    .push("its value cannot be read, so the replaced value is not known".into());
                None
            }
            // The secret has no value yet.
            (Err(error), _) if error.kind() == SinkErrorKind::NotFound && self.replace.create => {
                None
            }
            (Err(error), _) => return Err(error),
        };
        let value = base.as_ref().map_or("", |base| base.value.as_str());
        self.shape.check(value, self.replace.create)?;
        if !self.replace.anything {
            self.shape.refuse_unless_replaceable(value)?;
        }
        let mut destinations: Vec<String> =
            connection.endpoint.iter().filter_map(Endpoint::destination).collect();
        match owner {
            Owner::Caller => {}
            Owner::Other(destination) => destinations.push(destination),
            Owner::Unknown(warning) => warnings.push(warning),
        }
        let destination = Some(destinations.join("; ")).filter(|text| !text.is_empty());
        let follows = base
            .as_ref()
            .map(|base| base.version.as_str())
            .or_else(|| version_at(&described, CURRENT));
        let follows = follows.unwrap_or_default().to_owned();
        let arn = described.arn.clone().unwrap_or_default();
        let put = Put {
            account: Arc::clone(&self.account),
            secret_id: self.secret_id.as_str().to_owned(),
            arn: arn.clone(),
            shape: self.shape.clone(),
            create: self.replace.create,
            base,
            follows,
            previous: version_at(&described, PREVIOUS).unwrap_or_default().to_owned(),
            ours: Arc::clone(&self.ours),
            written: Mutex::default(),
        };
        let preparation = Preparation::new(Box::new(put), WriteEstimate::one_request(round_trip))
            .with_readiness(unproven())
            .with_warnings(warnings)
            .with_foreign_destination(destination);
        // An emulator may omit it.
        if arn.is_empty() {
            return Ok(preparation);
        }
        Ok(preparation.with_resolved_target(TargetId::new(KIND, arn)))
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let held = match self.read(None).await {
            Ok(held) => held,
            Err(error) if is_denied(&error) => return self.inspect_unread(last).await,
            Err(error) if error.kind() == SinkErrorKind::NotFound && self.replace.create => {
                return Ok(Content::Absent.into());
            }
            Err(error) => return Err(error),
        };
        if self.lost_external_write(&held, last).await? {
            return Err(external_write_lost());
        }
        let copies = self.shape.copies(&held.value);
        Ok(Inspection::from(self.shape.content(&held.value)).with_nearby(copies))
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

impl AwsSink {
    /// Inspects a secret whose value may not be read, by the id of its newest version.
    async fn inspect_unread(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let described = self.describe().await?;
        let ours = last.and_then(|last| last.get("version"));
        Ok(match (ours, version_at(&described, CURRENT)) {
            (Some(ours), Some(current)) if ours == current => Content::UnchangedSinceOurWrite,
            (Some(_), Some(_)) => Content::ChangedSinceOurWrite,
            _ => Content::Unknown { reason: "the value may not be read".to_owned() },
        }
        .into())
    }
}
