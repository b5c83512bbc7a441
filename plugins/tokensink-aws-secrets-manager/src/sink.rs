//! The sink: what a secret is, what it holds, and whether it may be written.

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

/// PutSecretValue and its like, per region: 50 a second
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const WRITES: RateLimit = RateLimit { requests: 50, per: Duration::from_secs(1) };

/// The SDK opens a connection for each request under way.
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

/// What a write may do besides replacing a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replace {
    /// Add keys, or create the secret.
    pub(crate) create: bool,
    /// Overwrite what was recognized as something other than a token.
    pub(crate) anything: bool,
}

/// Our last write: its version, and the version that it was made from.
#[derive(Clone, Debug)]
pub(crate) struct OurWrite {
    pub(crate) version: String,
    pub(crate) base: String,
    /// It was found to lack what somebody else wrote in between.
    pub(crate) lacks_theirs: bool,
}

/// One version's value.
pub(crate) struct Held {
    pub(crate) version: String,
    pub(crate) value: Zeroizing<String>,
    created: Option<DateTime>,
    /// The value is what somebody else wrote before this version, which lacks it.
    pub(crate) is_theirs: bool,
}

impl OurWrite {
    fn recorded_in(receipt: &Receipt) -> Option<Self> {
        let fact = |name| receipt.get(name).map(str::to_owned);
        Some(Self { version: fact("version")?, base: fact("base")?, lacks_theirs: false })
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

    /// The value of the current version, or of the one named.
    async fn read(&self, version: Option<&str>) -> Result<Held, SinkError> {
        let request =
            self.account.client().await?.get_secret_value().secret_id(self.secret_id.as_str());
        let request = match version {
            Some(version) => request.version_id(version),
            None => request.version_stage(CURRENT),
        };
        let answer = request
            .send()
            .await
            .map_err(|error| self.account.explain("read the secret", &error))?;
        let Some(value) = answer.secret_string else {
            return Err(SinkError::rejected("its value is binary, not text")
                .with_help("name a secret whose value is a text"));
        };
        Ok(Held {
            version: answer.version_id.unwrap_or_default(),
            value: Zeroizing::new(value),
            created: answer.created_date,
            is_theirs: false,
        })
    }

    /// Our last write, where it is what the secret holds. The run that made it may be gone: then its
    /// receipt tells. A value that is replaced as a whole leaves nothing out, and is not asked for.
    fn our_write(&self, current: &Held, last: Option<&Receipt>) -> Option<OurWrite> {
        if matches!(self.shape, Shape::Plain) {
            return None;
        }
        let known = self.ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ours = known.or_else(|| last.and_then(OurWrite::recorded_in));
        ours.filter(|ours| ours.version == current.version)
    }

    /// The value that the token is merged into. Where somebody wrote between our reading and our
    /// writing, that is what they wrote: ours was made without it.
    async fn base(&self, described: &DescribeSecretOutput) -> Result<Held, SinkError> {
        let current = self.read(None).await?;
        let theirs = match self.our_write(&current, None) {
            Some(ours) => self.written_between(described, &ours, &current).await?,
            None => None,
        };
        Ok(match theirs {
            Some(theirs) => Held { version: current.version, is_theirs: true, ..theirs },
            None => current,
        })
    }

    /// What somebody else wrote after the base of our write and before it, if anything.
    async fn written_between(
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
        let theirs = self.read(Some(previous)).await?;
        // A younger one was current after ours, until somebody took it back.
        Ok(Some(theirs).filter(|theirs| theirs.created <= current.created))
    }

    /// Whether the secret holds a write of ours that lacks what somebody else wrote in between. The
    /// next write puts both into it.
    async fn lacks_theirs(
        &self,
        current: &Held,
        last: Option<&Receipt>,
    ) -> Result<bool, SinkError> {
        let Some(ours) = self.our_write(current, last) else { return Ok(false) };
        let theirs = self.written_between(&self.describe().await?, &ours, current).await?;
        if theirs.is_some() {
            let ours = OurWrite { lacks_theirs: true, ..ours };
            *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
        }
        Ok(theirs.is_some())
    }

    fn refuse_unwritable(&self, described: &DescribeSecretOutput) -> Result<(), SinkError> {
        if described.deleted_date.is_some() {
            return Err(SinkError::rejected("the secret is scheduled for deletion")
                .with_help("restore it: aws secretsmanager restore-secret"));
        }
        if let Some(owner) = &described.owning_service {
            return Err(SinkError::rejected(format!("the secret is managed by {owner}"))
                .with_help("write to a secret of your own"));
        }
        match (&described.primary_region, &self.account.region) {
            (Some(primary), Some(region)) if primary != region => {
                let problem = format!("the secret here is a replica of the one in {primary}");
                Err(SinkError::rejected(problem).with_help(format!("set `region = \"{primary}\"`")))
            }
            _ => Ok(()),
        }
    }

    /// Compares the account of an ARN with the caller's. A name is always one of the caller's own.
    async fn owner(&self) -> Owner {
        let Some(account) = self.secret_id.account() else { return Owner::Caller };
        match self.account.caller().await {
            Ok(caller) if caller == account => Owner::Caller,
            Ok(caller) => Owner::Other(format!("in AWS account {account}, not yours ({caller})")),
            Err(reason) => Owner::Unknown(format!(
                "it is in AWS account {account}; whether that is yours is not known: {reason}"
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
            warnings.push(format!("its account is asked for at {place}"));
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

/// What a write leaves out that was made from an older version than the one it follows.
pub(crate) fn overlooked() -> SinkError {
    SinkError::conflict("the secret lacks what someone else wrote to it just before us")
        .with_help("`tokensink sync` puts both into it")
}

/// Whose account a secret is in.
enum Owner {
    Caller,
    /// The destination, for people.
    Other(String),
    /// Why it is not known, as a warning.
    Unknown(String),
}

/// What should be known of a replica that does not have the newest value.
fn behind(replica: &ReplicationStatusType) -> Option<String> {
    let region = replica.region().unwrap_or("another region");
    let said = excerpt(replica.status_message().unwrap_or_default());
    let said = if said.is_empty() { said } else { format!(": {said}") };
    match replica.status()? {
        StatusType::InSync => None,
        StatusType::InProgress => {
            Some(format!("its replica in {region} is not complete yet{said}"))
        }
        StatusType::Failed => Some(format!("its replica in {region} failed{said}")),
        other => Some(format!("its replica in {region} is {}{said}", other.as_str())),
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

/// Identifies a secret without asking AWS. Whether the last seven characters of an ARN are its random
/// suffix or a part of the name cannot be seen, so an ARN stays as it is: the preparation reports
/// which secrets are the same.
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
                    return Err(error.with_help("name a secret that is to be created by its name"));
                }
                self.shape.check("", true)?;
                return Ok(self.creation(connection, started.elapsed()));
            }
            described => described?,
        };
        self.refuse_unwritable(&described)?;
        // The connection exists by now: as long as this request takes, the write will.
        let started = Instant::now();
        let read = async { (self.base(&described).await, started.elapsed()) };
        let ((base, round_trip), owner) = tokio::join!(read, self.owner());
        let mut warnings = self.warnings(&described, connection);
        let base = match (base, &self.shape) {
            (Ok(base), _) => Some(base),
            // The whole value is replaced: it need not be read.
            (Err(error), Shape::Plain) if is_denied(&error) => {
                warnings.push("its value may not be read, so what is replaced is not known".into());
                None
            }
            // A secret that has no value yet.
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
        // An emulator may leave it out.
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
        if self.lacks_theirs(&held, last).await? {
            return Err(overlooked());
        }
        let copies = self.shape.copies(&held.value);
        Ok(Inspection::from(self.shape.content(&held.value)).with_nearby(copies))
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

impl AwsSink {
    /// Where the value may not be read: is the newest version ours?
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
