//! Reads the repositories of an organization, a hundred per request.
//!
//! Separate requests for a thousand repositories would use a fifth of the hourly quota before anything
//! is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokensink_core::{SinkError, SinkErrorKind};
use tokio::sync::Mutex;

use crate::api::Api;
use crate::repository::Repository;

const PAGE: usize = 100;

/// A list may take at most one request for this many wanted repositories. In a larger organization
/// the repositories on later pages are read one by one.
const WANTED_PER_PAGE: usize = 10;

/// The time for which a list is used after its last page was fetched.
const VALID_FOR: Duration = Duration::from_secs(10);

/// The repositories of one owner.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    /// The number of repositories that have a sink.
    wanted: AtomicUsize,
    /// Locked while a page is fetched, so that other sinks wait for it instead of fetching it too.
    listed: Mutex<Option<Listed>>,
}

#[derive(Debug)]
struct Listed {
    since: Instant,
    by_name: BTreeMap<String, Repository>,
    /// `None` after the last page.
    next_page: Option<usize>,
}

impl Owner {
    pub(crate) fn add_wanted(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_wanted(&self) {
        self.wanted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the repository if it is on a list. The list is fetched only if so many of the owner's
    /// repositories have a sink that it takes fewer requests than reading each one.
    pub(crate) async fn find(
        &self,
        api: &Api,
        owner: &str,
        named: &str,
    ) -> Result<Option<Repository>, SinkError> {
        let max_pages = self.wanted.load(Ordering::Relaxed) / WANTED_PER_PAGE;
        let named = named.to_lowercase();
        let mut listed = self.listed.lock().await;
        let listed = match &mut *listed {
            Some(listed) if listed.since.elapsed() < VALID_FOR => listed,
            expired => expired.insert(Listed::nothing()),
        };
        while !listed.by_name.contains_key(&named)
            && let Some(page) = listed.next_page.filter(|page| *page <= max_pages)
        {
            listed.fetch(page, api, owner).await?;
        }
        Ok(listed.by_name.get(&named).cloned())
    }
}

impl Listed {
    fn nothing() -> Self {
        Self { since: Instant::now(), by_name: BTreeMap::new(), next_page: Some(1) }
    }

    async fn fetch(&mut self, page: usize, api: &Api, owner: &str) -> Result<(), SinkError> {
        let action = "list the organization's repositories";
        let path = format!("orgs/{owner}/repos?per_page={PAGE}&page={page}&sort=full_name");
        let response = api.send(Method::GET, &path, None, action).await?;
        let mut listed: Vec<Repository> = Vec::new();
        if response.status.is_success() {
            listed = response.json().map_err(|_| {
                SinkError::other(format!(
                    "cannot {action}: the response is not in the documented form"
                ))
            })?;
        } else {
            let refusal = api.refusal(action, &response).await;
            if matches!(
                refusal.kind(),
                SinkErrorKind::RateLimited { .. } | SinkErrorKind::Transient
            ) {
                return Err(refusal);
            }
            // The owner is a user account, or the token may not read the list. Each repository is then
            // read separately.
        }
        self.since = Instant::now();
        self.next_page = (listed.len() == PAGE).then_some(page + 1);
        self.by_name.extend(listed.into_iter().map(|one| (one.full_name.to_lowercase(), one)));
        Ok(())
    }
}
