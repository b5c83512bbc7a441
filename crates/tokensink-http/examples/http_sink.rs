//! A whole plugin for a provider with an HTTP API: one `PUT` writes a secret, one `GET` reads it.

use std::sync::Arc;

use tokensink_core::{schemars::JsonSchema, serde::Deserialize, serde::Serialize, *};
use tokensink_http::{BearerApi, DefaultCredential, Response, Vendor, reqwest::Method, send};

/// The API's hosts, as whole names: below a provider's domain there may be hosts of its customers.
const ACME: Vendor =
    Vendor::new("Acme", |host| host == "api.acme.example", DefaultCredential::OwnHostsOnly);

/// `[sinks.NAME]` with `kind = "acme"`.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
#[schemars(crate = "tokensink_core::schemars")]
struct AcmeConfig {
    /// the secret's name: letters, digits, `-` and `_`
    secret: String,
    /// another address of the API
    api_url: Option<String>,
}

impl SinkConfig for AcmeConfig {
    const KIND: &'static str = "acme";
    const SUMMARY: &'static str = "a secret of Acme";
    const PERMISSIONS: &'static str = "secrets:read\nsecrets:write";
    const TAKES_EFFECT: &'static str = "when the application is deployed again";
    const EXAMPLE: &'static str = "secret = \"QSTASH_TOKEN\"";
    type Sink = AcmeSink;

    fn build(self, context: &BuildContext) -> Result<Vec<AcmeSink>, Vec<SinkError>> {
        let url = self.api_url.as_deref();
        let api = BearerApi::new(&ACME, "https://api.acme.example", "ACME_TOKEN", url, context);
        // The name becomes a part of a URL.
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let is_name = !self.secret.is_empty() && self.secret.chars().all(is_allowed);
        let name_error = (!is_name).then(|| {
            SinkError::config("option `secret`: expected letters, digits, `-` and `_`")
                .for_option("secret")
        });
        match (name_error, api) {
            (None, Ok(api)) => Ok(vec![AcmeSink::new(&self.secret, api, context)]),
            (name_error, api) => Err(name_error.into_iter().chain(api.err()).collect()),
        }
    }
}

inventory::submit! { SinkFactory::of::<AcmeConfig>() }

/// One secret.
#[derive(Clone, Debug)]
struct AcmeSink {
    info: SinkInfo,
    path: String,
    api: Arc<BearerApi>,
    replaces_anything: bool,
}

/// The body of a request that writes a secret, and of a response that shows it.
#[derive(Deserialize, Serialize)]
#[serde(crate = "tokensink_core::serde")]
struct SecretDocument<T> {
    value: T,
}

impl AcmeSink {
    fn new(secret: &str, api: Arc<BearerApi>, context: &BuildContext) -> Self {
        let target = TargetId::new("acme", format!("{}{secret}", api.base()));
        let mut info = SinkInfo::new(target, secret, TakesEffect::OnDeploy);
        info.host = api.shown_host().map(str::to_owned);
        let path = format!("v1/secrets/{secret}");
        Self { info, path, api, replaces_anything: context.replaces_anything() }
    }

    async fn read(&self) -> Result<(Secret, Response), SinkError> {
        let request = self.api.request(Method::GET, &self.path)?;
        let response = send("read the secret", request, &[self.api.token()]).await?;
        let held: SecretDocument<String> = response.document("read the secret")?;
        Ok((Secret::new(held.value), response))
    }
}

#[async_trait]
impl TokenSink for AcmeSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let (held, response) = self.read().await?;
        let obstacle = StoredValue::of(held.expose()).obstacle();
        if let Some(obstacle) = obstacle.filter(|_| !self.replaces_anything) {
            return Err(SinkError::rejected(format!("{} holds {obstacle}", self.info.label))
                .with_help("set `replace = \"anything\"` to overwrite it"));
        }
        // The write uses the same connection: it takes as long.
        let estimate = WriteEstimate::one_request(response.round_trip);
        Ok(Preparation::new(Box::new(self.clone()), estimate).with_readiness(unproven()))
    }

    async fn inspect(&self, _last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let (held, _) = self.read().await?;
        Ok(Content::Value(HeldValue::of(held.expose())).into())
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl TokenWriter for AcmeSink {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(unproven())
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        let request = self.api.request(Method::PUT, &self.path)?;
        let request = request.json(&SecretDocument { value: token.expose() });
        send("write the secret", request, &[self.api.token(), token.as_ref()]).await?;
        Ok(Receipt::default())
    }
}

fn unproven() -> Readiness {
    Readiness::Unknown { reason: "only a write proves that Acme permits it".to_owned() }
}

fn main() {
    let registry = Registry::linked().expect("one plugin for each kind");
    assert_eq!(registry.kinds().collect::<Vec<_>>(), ["acme"]);
}
