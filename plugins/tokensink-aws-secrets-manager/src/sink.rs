//! The sink: what a secret is, what it holds, and whether it may be written.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use tokensink_core::{
    Content, Inspection, Preparation, RateLimit, RateLimits, Receipt, SinkError, SinkErrorKind,
    SinkInfo, Survey, TakesEffect, TargetId, TokenSink, WriteEstimate,
};
use zeroize::Zeroizing;

use crate::client::Account;
use crate::endpoint::Endpoint;
use crate::failure::is_denied;
use crate::value::Shape;
use crate::write::{Create, Put, unproven};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// PutSecretValue and its like, per region: 50 a second
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const WRITES: RateLimit = RateLimit { requests: 50, per: Duration::from_secs(1) };

/// The SDK opens a connection for each request under way.
const CONCURRENT: usize = 100;

/// What the random part of an ARN adds to a secret's name: a hyphen and six characters.
const ARN_SUFFIX: usize = 7;

/// One secret.
#[derive(Clone, Debug)]
pub struct AwsSink {
    info: SinkInfo,
    secret_id: String,
    shape: Shape,
    create: bool,
    account: Arc<Account>,
    ours: Arc<Mutex<Option<OurWrite>>>,
}

/// The version that we wrote last, and the one that it was made from.
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
        secret_id: String,
        shape: Shape,
        create: bool,
        account: Arc<Account>,
    ) -> Self {
        let info = sink_info(&secret_id, &shape, &account);
        Self { info, secret_id, shape, create, account, ours: Arc::default() }
    }

    async fn describe(&self) -> Result<DescribeSecretOutput, SinkError> {
        let request = self.account.client().await.describe_secret().secret_id(&self.secret_id);
        request.send().await.map_err(|error| self.account.explain("describe the secret", &error))
    }

    /// The value of the current version, or of the one named.
    async fn read(&self, version: Option<&str>) -> Result<Held, SinkError> {
        let request = self.account.client().await.get_secret_value().secret_id(&self.secret_id);
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

    fn warnings(&self, described: &DescribeSecretOutput) -> Vec<String> {
        let mut warnings = Vec::new();
        if described.rotation_enabled == Some(true) {
            warnings.push("its rotation is on, and may write over the token".to_owned());
        }
        warnings.extend(self.account.endpoint.as_ref().and_then(Endpoint::warning));
        warnings
    }

    fn creation(&self, round_trip: Duration) -> Preparation {
        let create = Create {
            account: Arc::clone(&self.account),
            secret_id: self.secret_id.clone(),
            shape: self.shape.clone(),
        };
        Preparation::new(Box::new(create), WriteEstimate::one_request(round_trip))
            .with_readiness(unproven())
            .with_warnings(vec!["the secret does not exist yet and will be created".to_owned()])
    }
}

/// What a write leaves out that was made from an older version than the one it follows.
pub(crate) fn overlooked() -> SinkError {
    SinkError::conflict("the secret lacks what someone else wrote to it just before us")
        .with_help("`tokensink sync` puts both into it")
}

fn version_at<'a>(described: &'a DescribeSecretOutput, stage: &str) -> Option<&'a str> {
    let mut versions = described.version_ids_to_stages()?.iter();
    versions.find(|(_, of)| of.iter().any(|one| one == stage)).map(|(version, _)| version.as_str())
}

fn sink_info(secret_id: &str, shape: &Shape, account: &Account) -> SinkInfo {
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

fn target(secret_id: &str, account: &Account) -> TargetId {
    // A name and the ARN of the same secret are one place.
    let of_arn = secret_id.strip_prefix("arn:").and_then(|arn| arn.splitn(6, ':').nth(5));
    let name = of_arn.map_or(secret_id, |name| {
        let (bare, suffix) =
            name.split_at_checked(name.len().saturating_sub(ARN_SUFFIX)).unwrap_or((name, ""));
        if suffix.starts_with('-') { bare } else { name }
    });
    let region = account.region.as_deref().unwrap_or("default-region");
    let profile = account.profile.as_deref().map_or(String::new(), |name| format!("{name}@"));
    TargetId::new("aws-secrets-manager", format!("{profile}{region}/{name}"))
}

fn label(secret_id: &str, shape: &Shape, account: &Account) -> String {
    let keys = match shape {
        Shape::Plain => String::new(),
        Shape::Keys(keys) => format!(" {}", keys.join(", ")),
    };
    match &account.region {
        Some(region) if !secret_id.starts_with("arn:") => format!("{secret_id}{keys} ({region})"),
        _ => format!("{secret_id}{keys}"),
    }
}

#[async_trait]
impl TokenSink for AwsSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let started = Instant::now();
        let described = match self.describe().await {
            Err(error) if error.kind() == SinkErrorKind::NotFound && self.create => {
                self.shape.check("", self.create)?;
                return Ok(self.creation(started.elapsed()));
            }
            described => described?,
        };
        self.refuse_unwritable(&described)?;
        // The connection exists by now: as long as this request takes, the write will.
        let started = Instant::now();
        let base = match (self.base(&described).await, &self.shape) {
            (Ok(base), _) => Some(base),
            // The whole value is replaced: it need not be read.
            (Err(error), Shape::Plain) if is_denied(&error) => None,
            // A secret that has no value yet.
            (Err(error), _) if error.kind() == SinkErrorKind::NotFound && self.create => None,
            (Err(error), _) => return Err(error),
        };
        let round_trip = started.elapsed();
        let value = base.as_ref().map_or("", |base| base.value.as_str());
        self.shape.check(value, self.create)?;
        let follows = base
            .as_ref()
            .map(|base| base.version.as_str())
            .or_else(|| version_at(&described, CURRENT));
        let follows = follows.unwrap_or_default().to_owned();
        let put = Put {
            account: Arc::clone(&self.account),
            secret_id: self.secret_id.clone(),
            arn: described.arn.clone().unwrap_or_default(),
            shape: self.shape.clone(),
            create: self.create,
            base,
            follows,
            previous: version_at(&described, PREVIOUS).unwrap_or_default().to_owned(),
            ours: Arc::clone(&self.ours),
            written: Mutex::default(),
        };
        Ok(Preparation::new(Box::new(put), WriteEstimate::one_request(round_trip))
            .with_readiness(unproven())
            .with_warnings(self.warnings(&described)))
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let held = match self.read(None).await {
            Ok(held) => held,
            Err(error) if is_denied(&error) => return self.inspect_unread(last).await,
            Err(error) if error.kind() == SinkErrorKind::NotFound && self.create => {
                return Ok(Content::Absent.into());
            }
            Err(error) => return Err(error),
        };
        if self.lacks_theirs(&held, last).await? {
            return Err(overlooked());
        }
        Ok(self.shape.content(&held.value).into())
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
