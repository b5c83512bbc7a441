//! The `[upstash]` table.

use std::time::Duration;

use serde_json::{Map, Value};
use tokensink_http::{is_loopback, parse_base_url, reqwest::Url};

use super::Layers;
use super::duration::duration_of;
use super::mistake::Mistake;
use crate::suggestion::nearest;

/// Where Upstash's Developer API is, unless a table says otherwise.
const API_URL: &str = "https://api.upstash.com/v2";

const KEYS: [&str; 6] = ["api_url", "qstash_url", "id", "region", "timeout", "settle"];

/// Which QStash, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct UpstashTable {
    pub(crate) api_url: Url,
    pub(crate) qstash_url: Option<Url>,
    pub(crate) id: Option<String>,
    pub(crate) region: Option<String>,
    /// How long the answer to the reset is waited for.
    pub(crate) timeout: Duration,
    /// The settling window.
    pub(crate) settle: Duration,
}

/// Reads the merged table; `layers` knows who set what.
pub(super) fn read(
    table: &Map<String, Value>,
    layers: &Layers,
) -> Result<UpstashTable, Vec<Mistake>> {
    let mut mistakes = unknown_keys(table, layers);
    let mut reader = Reader { table, layers, mistakes: &mut mistakes };
    let api_url = reader.url("api_url");
    let qstash_url = reader.url("qstash_url");
    let id = reader.slug("id");
    let region = reader.slug("region");
    let timeout = reader.duration("timeout", Duration::from_secs(15));
    let settle = reader.duration("settle", Duration::from_secs(5));
    let default = parse_base_url(API_URL);
    match (api_url.map_or(default, Ok), mistakes.is_empty()) {
        (Ok(api_url), true) => {
            Ok(UpstashTable { api_url, qstash_url, id, region, timeout, settle })
        }
        _ => Err(mistakes),
    }
}

fn unknown_keys(table: &Map<String, Value>, layers: &Layers) -> Vec<Mistake> {
    let unknown = table.keys().filter(|key| !KEYS.contains(&key.as_str()));
    let mistakes = unknown.map(|key| {
        let mistake = layers.mistake(&format!("upstash.{key}"), "unknown option");
        match nearest(key, KEYS) {
            Some(meant) => mistake.with_help(format!("did you mean `{meant}`?")),
            None => mistake.with_help(format!("the options of [upstash] are: {}", KEYS.join(", "))),
        }
    });
    mistakes.collect()
}

struct Reader<'a> {
    table: &'a Map<String, Value>,
    layers: &'a Layers,
    mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    fn mistaken(&mut self, key: &str, problem: impl Into<String>) {
        self.mistakes.push(self.layers.mistake(&format!("upstash.{key}"), problem));
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.table.get(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.mistaken(key, "expected a text");
                None
            }
        }
    }

    /// A text that goes into a path or a host name.
    fn slug(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        let is_slug = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !text.is_empty() && text.chars().all(is_slug) {
            return Some(text);
        }
        self.mistaken(key, "expected letters, digits, hyphens and underscores only");
        None
    }

    fn url(&mut self, key: &str) -> Option<Url> {
        let text = self.text(key)?;
        let url = match parse_base_url(&text) {
            Ok(url) => url,
            Err(error) => {
                self.mistaken(key, error.to_string());
                return None;
            }
        };
        if !is_of_upstash(&url) && self.layers.project_decides(&format!("upstash.{key}")) {
            let variable = format!("TOKENSINK_UPSTASH__{}", key.to_uppercase());
            let mistake = self.layers.mistake(
                &format!("upstash.{key}"),
                format!(
                    "{} is not Upstash's, and a project file alone must not send your credentials there",
                    url.host_str().unwrap_or("this host")
                ),
            );
            self.mistakes.push(mistake.with_help(format!("if you trust it, set {variable}")));
        }
        Some(url)
    }

    fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(value) = self.table.get(key) else { return default };
        match duration_of(value) {
            Ok(duration) => duration,
            Err(problem) => {
                self.mistaken(key, problem);
                default
            }
        }
    }
}

/// Whether a credential of Upstash belongs there; loopback is a stand-in of the user's own.
fn is_of_upstash(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    is_loopback(url)
        || ["upstash.com", "upstash.io"].iter().any(|vendor| {
            host == *vendor || host.strip_suffix(vendor).is_some_and(|rest| rest.ends_with('.'))
        })
}
