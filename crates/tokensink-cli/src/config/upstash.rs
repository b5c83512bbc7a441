//! The `[upstash]` table.

use std::time::Duration;

use serde_json::{Map, Value};
use tokensink_core::HostPolicy;
use tokensink_http::reqwest::Url;
use tokensink_http::{GrantedCredential, HostSetting, Vendor, authorize, parse_base_url};
use tokensink_upstash::{DEVELOPER_API, QSTASH};

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
    /// The variable that holds the API key for a host that has its own.
    pub(crate) api_key_variable: Option<String>,
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
    hosts: &HostPolicy,
) -> Result<UpstashTable, Vec<Mistake>> {
    let mut mistakes = unknown_keys(table, layers);
    let mut reader = Reader { table, layers, hosts, mistakes: &mut mistakes };
    let (api_url, api_key_variable) = reader.url("api_url", &DEVELOPER_API).unzip();
    let qstash_url = reader.url("qstash_url", &QSTASH).map(|(url, _)| url);
    let id = reader.slug("id");
    let region = reader.slug("region");
    let timeout = reader.duration("timeout", Duration::from_secs(15));
    let settle = reader.duration("settle", Duration::from_secs(5));
    let default = parse_base_url(API_URL);
    match (api_url.map_or(default, Ok), mistakes.is_empty()) {
        (Ok(api_url), true) => {
            let api_key_variable = api_key_variable.flatten();
            Ok(UpstashTable { api_url, api_key_variable, qstash_url, id, region, timeout, settle })
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
    hosts: &'a HostPolicy,
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

    /// A URL of `vendor`, and the variable of the credential that belongs to its host, if the host has
    /// its own.
    fn url(&mut self, key: &str, vendor: &Vendor) -> Option<(Url, Option<String>)> {
        let text = self.text(key)?;
        let place = format!("upstash.{key}");
        let url = match parse_base_url(&text) {
            Ok(url) => url,
            Err(error) => {
                self.mistaken(key, error.to_string());
                return None;
            }
        };
        let setting = HostSetting::new(&url, self.layers.origin(&place));
        match authorize(vendor, &setting, self.hosts).map(|grant| grant.credential) {
            Ok(GrantedCredential::VendorDefault) => Some((url, None)),
            Ok(GrantedCredential::Variable(name)) => Some((url, Some(name))),
            Err(refusal) => {
                let mistake = self.layers.mistake(&place, refusal.to_string());
                self.mistakes.push(mistake.with_help(refusal.help()));
                None
            }
        }
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
