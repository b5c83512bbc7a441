//! Many repositories of one organization, seen a hundred to a request.
//!
//! A thousand questions, one for each repository, would take a fifth of what GitHub allows in an
//! hour before anything is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokensink_core::{SinkError, SinkErrorKind};
use tokio::sync::Mutex;

use crate::api::Api;
use crate::repository::Repository;

const PAGE: usize = 100;

/// A list may cost this part of what asking for each repository costs. What an organization of
/// very many shows further down is asked for by itself.
const PART_OF_THE_COST: usize = 10;

/// A preparation that comes later, after the last page, sees the organization anew.
const HOLDS_FOR: Duration = Duration::from_secs(10);

/// The repositories of one owner.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    /// How many of them sinks name.
    wanted: AtomicUsize,
    /// Held while a page is fetched: whoever comes meanwhile finds it there.
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    by_name: BTreeMap<String, Repository>,
    /// `None` when there is no more to see.
    next_page: Option<usize>,
}

impl Owner {
    pub(crate) fn want_one_more(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn want_one_less(&self) {
        self.wanted.fetch_sub(1, Ordering::Relaxed);
    }

    /// The repository, if so many of this owner's are wanted that a list is cheaper, and it is on it.
    pub(crate) async fn find(
        &self,
        api: &Api,
        owner: &str,
        named: &str,
    ) -> Result<Option<Repository>, SinkError> {
        let most_pages = self.wanted.load(Ordering::Relaxed) / PART_OF_THE_COST;
        let named = named.to_lowercase();
        let mut seen = self.seen.lock().await;
        let seen = match &mut *seen {
            Some(seen) if seen.since.elapsed() < HOLDS_FOR => seen,
            stale => stale.insert(Seen::nothing()),
        };
        while !seen.by_name.contains_key(&named)
            && let Some(page) = seen.next_page.filter(|page| *page <= most_pages)
        {
            seen.turn_to(page, api, owner).await?;
        }
        Ok(seen.by_name.get(&named).cloned())
    }
}

impl Seen {
    fn nothing() -> Self {
        Self { since: Instant::now(), by_name: BTreeMap::new(), next_page: Some(1) }
    }

    async fn turn_to(&mut self, page: usize, api: &Api, owner: &str) -> Result<(), SinkError> {
        let doing = "list the organization's repositories";
        let path = format!("orgs/{owner}/repos?per_page={PAGE}&page={page}&sort=full_name");
        let answer = api.send(Method::GET, &path, None, doing).await?;
        let mut listed: Vec<Repository> = Vec::new();
        if answer.status.is_success() {
            listed = answer.json().map_err(|_| {
                SinkError::other(format!("cannot {doing}: the answer is not what is documented"))
            })?;
        } else {
            let refusal = api.refusal(doing, &answer).await;
            if matches!(
                refusal.kind(),
                SinkErrorKind::RateLimited { .. } | SinkErrorKind::Transient
            ) {
                return Err(refusal);
            }
            // A person, or a list that is not for this token: each is asked for by itself.
        }
        self.since = Instant::now();
        self.next_page = (listed.len() == PAGE).then_some(page + 1);
        self.by_name.extend(listed.into_iter().map(|one| (one.full_name.to_lowercase(), one)));
        Ok(())
    }
}
