//! The `[upstash]` table.

use std::time::Duration;

use serde_json::{Map, Value};
use tokensink_core::HostPolicy;
use tokensink_http::reqwest::Url;
use tokensink_http::{GrantedCredential, HostSetting, Vendor, authorize, parse_base_url};
use tokensink_upstash::{DEVELOPER_API, QSTASH};

use super::Layers;
use super::config_error::ConfigError;
use super::duration::parse_duration;
use crate::suggestion::nearest;

/// The default base URL of Upstash's Developer API.
const API_URL: &str = "https://api.upstash.com/v2";

const KEYS: [&str; 6] = ["api_url", "qstash_url", "id", "region", "timeout", "settle"];

/// The values of the `[upstash]` table.
#[derive(Clone, Debug)]
pub(crate) struct UpstashTable {
    pub(crate) api_url: Url,
    /// The variable with the API key, if the host of `api_url` has its own credential.
    pub(crate) api_key_variable: Option<String>,
    pub(crate) qstash_url: Option<Url>,
    pub(crate) id: Option<String>,
    pub(crate) region: Option<String>,
    /// The time limit for each request, the reset included.
    pub(crate) timeout: Duration,
    /// How long changes by others are looked for after the last write.
    pub(crate) settle: Duration,
}

/// Reads the merged table. `layers` locates its errors, and the origin of its URLs.
pub(super) fn read(
    table: &Map<String, Value>,
    layers: &Layers,
    hosts: &HostPolicy,
) -> Result<UpstashTable, Vec<ConfigError>> {
    let mut errors = unknown_keys(table, layers);
    let mut reader = Reader { table, layers, hosts, errors: &mut errors };
    let (api_url, api_key_variable) = reader.url("api_url", &DEVELOPER_API).unzip();
    let qstash_url = reader.url("qstash_url", &QSTASH).map(|(url, _)| url);
    let id = reader.slug("id");
    let region = reader.slug("region");
    let timeout = reader.duration("timeout", Duration::from_secs(15));
    let settle = reader.duration("settle", Duration::from_secs(5));
    let default = parse_base_url(API_URL);
    match (api_url.map_or(default, Ok), errors.is_empty()) {
        (Ok(api_url), true) => {
            let api_key_variable = api_key_variable.flatten();
            Ok(UpstashTable { api_url, api_key_variable, qstash_url, id, region, timeout, settle })
        }
        _ => Err(errors),
    }
}

fn unknown_keys(table: &Map<String, Value>, layers: &Layers) -> Vec<ConfigError> {
    let unknown = table.keys().filter(|key| !KEYS.contains(&key.as_str()));
    let errors = unknown.map(|key| {
        let error = layers.error_at(&format!("upstash.{key}"), "unknown option");
        match nearest(key, KEYS) {
            Some(similar) => error.with_help(format!("did you mean `{similar}`?")),
            None => error.with_help(format!("the options of [upstash] are: {}", KEYS.join(", "))),
        }
    });
    errors.collect()
}

struct Reader<'a> {
    table: &'a Map<String, Value>,
    layers: &'a Layers,
    hosts: &'a HostPolicy,
    errors: &'a mut Vec<ConfigError>,
}

impl Reader<'_> {
    fn report(&mut self, key: &str, problem: impl Into<String>) {
        self.errors.push(self.layers.error_at(&format!("upstash.{key}"), problem));
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.table.get(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.report(key, "expected a string");
                None
            }
        }
    }

    /// Reads a value that becomes part of a path or a host name.
    fn slug(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        let is_slug = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !text.is_empty() && text.chars().all(is_slug) {
            return Some(text);
        }
        self.report(key, "expected letters, digits, hyphens and underscores only");
        None
    }

    /// Reads a URL of `vendor`. Returns it with the variable of its host's credential, if the host has
    /// its own.
    fn url(&mut self, key: &str, vendor: &Vendor) -> Option<(Url, Option<String>)> {
        let text = self.text(key)?;
        let place = format!("upstash.{key}");
        let url = match parse_base_url(&text) {
            Ok(url) => url,
            Err(error) => {
                self.report(key, error.to_string());
                return None;
            }
        };
        let setting = HostSetting::new(&url, self.layers.origin(&place));
        match authorize(vendor, &setting, self.hosts).map(|grant| grant.credential) {
            Ok(GrantedCredential::VendorDefault) => Some((url, None)),
            Ok(GrantedCredential::Variable(name)) => Some((url, Some(name))),
            Err(refusal) => {
                let error = self.layers.error_at(&place, refusal.to_string());
                self.errors.push(error.with_help(refusal.help()));
                None
            }
        }
    }

    fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(value) = self.table.get(key) else { return default };
        match parse_duration(value) {
            Ok(duration) => duration,
            Err(problem) => {
                self.report(key, problem);
                default
            }
        }
    }
}
