//! Environments whose secret of the same name wins over the repository's.
//!
//! Nothing but warnings comes of the look: what could not be looked at is told, and stops nothing.

use std::error::Error as _;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokensink_core::SinkError;

use crate::api::Api;
use crate::target::{Scope, Target};

/// With more sinks than this the look is left out: it would cost each of them a request of the
/// hourly quota.
const MAX_LOOKED_THROUGH: usize = 25;

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

/// What a person should know of the environments of `repository`, which is at `owner_path` now.
pub(crate) async fn warnings(
    api: &Api,
    target: &Target,
    repository: &str,
    owner_path: &str,
) -> Vec<String> {
    let secret = &target.secret;
    let sinks = api.sinks();
    if sinks > MAX_LOOKED_THROUGH {
        let said = format!(
            "no environments were searched for a {secret} of their own: with {sinks} sinks that \
             would cost too many requests"
        );
        return Vec::from_iter(api.speaks_for_all(owner_path).then_some(said));
    }
    let list = match list(api, owner_path).await {
        Ok(list) => list,
        Err(error) => {
            let why = error_chain(&error);
            return vec![format!(
                "its environments were not searched for a {secret} of their own: {why}"
            )];
        }
    };
    let (mut warnings, mut searched, mut why) = (Vec::new(), 0, String::new());
    let total = list.total_count.max(list.environments.len());
    for Environment { name } in list.environments {
        let scope = Scope::Repository {
            repository: repository.to_owned(),
            environment: Some(name.clone()),
        };
        match holds_secret(api, &Target { scope, ..target.clone() }, owner_path).await {
            Ok(true) => warnings
                .push(format!("the environment {name} has a {secret} of its own, which wins")),
            Ok(false) => {}
            Err(error) => {
                // The next one would be refused as well, and cost a request.
                why = format!(": {}", error_chain(&error));
                break;
            }
        }
        searched += 1;
    }
    if searched < total {
        warnings.push(format!(
            "it has {total} environments, and only {searched} were searched for a {secret} of \
             their own{why}"
        ));
    }
    warnings
}

async fn list(api: &Api, owner_path: &str) -> Result<Environments, SinkError> {
    let doing = "list the environments";
    let answer = api.get(&format!("{owner_path}/environments?per_page=100"), doing).await?;
    answer.json().map_err(|_| {
        SinkError::other(format!("could not {doing}: the answer is not what is documented"))
    })
}

async fn holds_secret(api: &Api, target: &Target, owner_path: &str) -> Result<bool, SinkError> {
    let doing = "see an environment's secret";
    let path = format!("{}/{}", target.secrets_path(owner_path), target.secret);
    let answer = api.send(Method::GET, &path, None, doing).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(false),
        status if status.is_success() => Ok(true),
        _ => Err(api.refusal(doing, &answer).await),
    }
}

fn error_chain(error: &SinkError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let advice = error.help().map(|advice| format!(" ({advice})")).unwrap_or_default();
    format!("{error}{cause}{advice}")
}
