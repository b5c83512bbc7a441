//! Secrets that hide the sink's own: of an environment, before the repository's; of a repository,
//! before the organization's.
//!
//! The result is only a warning, so the search is limited in requests, in time and in concurrency.

use std::error::Error as _;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokensink_core::{NearbyValue, SinkError, Survey};
use tokio::time::{Instant, timeout_at};

use crate::api::Api;
use crate::organization::Visibility;
use crate::target::{App, Scope, Target};

/// The maximum number of sinks for a search. With more sinks, the quota is kept for the writes.
const MAX_SINKS: usize = 25;

/// One page, and so many requests for one sink.
const MAX_PLACES: usize = 100;

/// The time limit for one sink, and for all sinks together.
pub(crate) const CONCURRENT: usize = 10;

const MAX_TIME: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Environments {
    #[serde(default)]
    total_count: usize,
    environments: Vec<Environment>,
}

#[derive(Deserialize)]
struct Environment {
    name: String,
}

#[derive(Deserialize)]
struct SelectedRepositories {
    total_count: usize,
    repositories: Vec<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    private: bool,
}

/// Places to search, and what to report if they are not all.
struct Places {
    closer: Vec<Closer>,
    omitted: Option<String>,
}

/// A secret that would hide the sink's own.
struct Closer {
    target: Target,
    path: String,
}

impl Closer {
    fn new(target: Target, owner_path: &str) -> Self {
        let path = format!("{}/{}", target.secrets_path(owner_path), target.secret);
        Self { target, path }
    }
}

/// Searches for secrets that hide `target`, whose repository or organization is at `owner_path`.
pub(crate) async fn closer_secrets(
    api: &Api,
    target: &Target,
    owner_path: &str,
) -> Result<Survey, SinkError> {
    let sinks = api.sinks();
    if sinks > MAX_SINKS {
        let warning = format!(
            "not searched for closer secrets named {}: with {sinks} sinks that takes too many requests",
            target.secret
        );
        let warnings = Vec::from_iter(api.reports_for_all(&target.owner_path()).then_some(warning));
        return Ok(Survey::new(Vec::new(), warnings));
    }
    let places = match &target.scope {
        Scope::Repository { repository, environment: None } if target.app == App::Actions => {
            environments(api, target, repository, owner_path).await?
        }
        Scope::Repository { .. } => return Ok(Survey::default()),
        Scope::Organization(_) => repositories(api, target, owner_path).await?,
    };
    if !api.can_spare(places.closer.len() * sinks) {
        let warning = format!(
            "not searched for closer secrets named {}: too few requests are left to the GitHub \
             token for the hour",
            target.secret
        );
        return Ok(Survey::new(Vec::new(), vec![warning]));
    }
    Ok(search(api, target, places).await)
}

async fn environments(
    api: &Api,
    target: &Target,
    repository: &str,
    owner_path: &str,
) -> Result<Places, SinkError> {
    let path = format!("{owner_path}/environments?per_page={MAX_PLACES}");
    let listed: Environments = api.read(&path, "list the environments").await?;
    let (count, total) = (listed.environments.len(), listed.total_count);
    let omitted = (count < total).then(|| {
        let secret = &target.secret;
        format!(
            "only {count} of its {total} environments were searched for a {secret} of their own"
        )
    });
    let closer = listed.environments.into_iter().map(|Environment { name }| {
        let repository = repository.to_owned();
        let scope = Scope::Repository { repository, environment: Some(name) };
        Closer::new(Target { scope, ..target.clone() }, owner_path)
    });
    Ok(Places { closer: closer.collect(), omitted })
}

async fn repositories(api: &Api, target: &Target, owner_path: &str) -> Result<Places, SinkError> {
    let secret = &target.secret;
    let secret_path = format!("{}/{secret}", target.secrets_path(owner_path));
    let action = "list the repositories that may use the organization secret";
    let (listed, omitted) = match Visibility::read_kind(api, &secret_path).await?.as_str() {
        "selected" => {
            let path = format!("{secret_path}/repositories?per_page={MAX_PLACES}");
            let listed: SelectedRepositories = api.read(&path, action).await?;
            let (count, total) = (listed.repositories.len(), listed.total_count);
            let omitted = (count < total).then(|| {
                format!(
                    "only {count} of its {total} repositories were searched for a {secret} of their \
                     own"
                )
            });
            (listed.repositories, omitted)
        }
        kind => {
            let path = format!("{owner_path}/repos?per_page={MAX_PLACES}&sort=pushed");
            let mut listed: Vec<Repository> = api.read(&path, action).await?;
            let omitted = (listed.len() == MAX_PLACES).then(|| {
                format!(
                    "only the {MAX_PLACES} repositories that were pushed to last were searched for \
                     a {secret} of their own"
                )
            });
            listed.retain(|one| kind == "all" || one.private);
            (listed, omitted)
        }
    };
    // No workflow of an archived repository runs.
    let closer = listed.into_iter().filter(|one| !one.archived).map(|one| {
        let scope = Scope::Repository { repository: one.full_name, environment: None };
        let target = Target { scope, ..target.clone() };
        let owner_path = target.owner_path();
        Closer::new(target, &owner_path)
    });
    Ok(Places { closer: closer.collect(), omitted })
}

async fn search(api: &Api, target: &Target, places: Places) -> Survey {
    let deadline = Instant::now() + MAX_TIME;
    let (total, mut searched, mut found) = (places.closer.len(), 0, Vec::new());
    let mut reason = None;
    let lookups = places.closer.into_iter().map(|closer| async move {
        let exists = api.in_survey(exists(api, &closer.path)).await;
        (closer.target, exists)
    });
    let mut lookups = stream::iter(lookups).buffer_unordered(CONCURRENT);
    loop {
        match timeout_at(deadline, lookups.next()).await {
            Ok(Some((closer, Ok(exists)))) => {
                searched += 1;
                found.extend(exists.then_some(closer));
            }
            // Later requests would be refused as well.
            Ok(Some((_, Err(error)))) => reason = Some(error_chain(&error)),
            Ok(None) => break,
            Err(_) => reason = Some(format!("the rest would take longer than {MAX_TIME:?}")),
        }
        if reason.is_some() {
            break;
        }
    }
    let nearby = found.into_iter().map(|closer| {
        let id = closer.id(api.host());
        NearbyValue::new(closer.to_string(), None).taking_precedence().at_target(id)
    });
    let mut nearby: Vec<NearbyValue> = nearby.collect();
    nearby.sort_by(|one, other| one.place.cmp(&other.place));
    let mut warnings = Vec::from_iter(places.omitted);
    if let Some(reason) = reason {
        let secret = &target.secret;
        warnings.push(format!(
            "only {searched} of {total} closer places were searched for a {secret}: {reason}"
        ));
    }
    Survey::new(nearby, warnings)
}

async fn exists(api: &Api, path: &str) -> Result<bool, SinkError> {
    let action = "look for a closer secret";
    let response = api.send(Method::GET, path, None, action).await?;
    match response.status {
        StatusCode::NOT_FOUND => Ok(false),
        status if status.is_success() => Ok(true),
        _ => Err(api.refusal(action, &response).await),
    }
}

fn error_chain(error: &SinkError) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{error}{source}{help}")
}
