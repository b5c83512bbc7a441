//! Secrets with their earlier states, which reads may show.
//!
//! GitHub serves reads from replicas that are 0.3 to 4 s behind
//! (github.com/integrations/terraform-provider-github, issues 3502 and 3069).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

#[derive(Clone, Debug)]
pub(super) struct StoredSecret {
    pub(super) value: String,
    pub(super) updated_at: Timestamp,
    /// The visibility of an organization secret. `None` for a repository's own secret.
    pub(super) visibility: Option<FakeVisibility>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FakeVisibility {
    /// `all`, `private` or `selected`.
    pub(super) kind: String,
    /// The ids of the repositories, with `selected`.
    pub(super) selected: Vec<u64>,
}

/// All secrets, by path, such as `repos/acme/api/actions/secrets/NAME`.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// All states of each secret with their times, the newest last.
    states: BTreeMap<String, Vec<(Instant, StoredSecret)>>,
    /// Reads show the state of this long ago.
    lag: Duration,
    /// Reads show no state later than this.
    frozen_at: Option<Instant>,
}

impl Secrets {
    /// Returns the newest state.
    pub(super) fn current(&self, path: &str) -> Option<&StoredSecret> {
        self.states.get(path)?.last().map(|(_, secret)| secret)
    }

    /// Returns the state that a read shows.
    pub(super) fn shown(&self, path: &str) -> Option<&StoredSecret> {
        let now = Instant::now();
        let is_shown = |(since, _): &&(Instant, StoredSecret)| {
            *since + self.lag <= now && self.frozen_at.is_none_or(|frozen| *since <= frozen)
        };
        self.states.get(path)?.iter().rev().find(is_shown).map(|(_, secret)| secret)
    }

    /// Returns the names below `directory` that a read shows, with their secrets.
    pub(super) fn shown_below(&self, directory: &str) -> Vec<(&str, &StoredSecret)> {
        let paths = self.states.keys();
        paths.filter_map(|path| Some((name_below(directory, path)?, self.shown(path)?))).collect()
    }

    /// Stores a secret. Returns whether it is new.
    pub(super) fn put(&mut self, path: &str, secret: StoredSecret) -> bool {
        let states = self.states.entry(path.to_owned()).or_default();
        states.push((Instant::now(), secret));
        states.len() == 1
    }

    pub(super) fn set_visibility(&mut self, path: &str, visibility: FakeVisibility) {
        if let Some(secret) = self.current(path).cloned() {
            self.put(path, StoredSecret { visibility: Some(visibility), ..secret });
        }
    }

    pub(super) fn set_lag(&mut self, lag: Duration) {
        self.lag = lag;
    }

    pub(super) fn freeze(&mut self) {
        self.frozen_at = Some(Instant::now());
    }

    pub(super) fn thaw(&mut self) {
        self.frozen_at = None;
    }
}

/// Returns the JSON document of the secret at `path`.
pub(super) fn document(path: &str, secret: &StoredSecret) -> Value {
    let mut body = json!({
        "name": path.rsplit('/').next(),
        "created_at": LONG_AGO,
        "updated_at": secret.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    if let Some(visibility) = &secret.visibility {
        body["visibility"] = json!(visibility.kind);
        if visibility.kind == "selected" {
            body["selected_repositories_url"] =
                json!(format!("https://api.github.com/{path}/repositories"));
        }
    }
    body
}

fn name_below<'a>(directory: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(directory)?.strip_prefix('/').filter(|name| !name.contains('/'))
}
