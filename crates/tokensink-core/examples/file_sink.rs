//! A whole plugin: a sink that is a file.

use std::{fmt, fs, path::PathBuf, time::Duration};
use tokensink_core::{schemars::JsonSchema, serde::Deserialize, *};

/// `[sinks.NAME]` with `kind = "file"`: a file that holds the token and nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
#[schemars(crate = "tokensink_core::schemars")]
struct FileConfig {
    /// the file, seen from the config file's folder
    path: PathBuf,
}

impl SinkConfig for FileConfig {
    const KIND: &'static str = "file";
    const SUMMARY: &'static str = "a file that holds the token and nothing else";
    const PERMISSIONS: &'static str = "write permission on the file and on its folder";
    const TAKES_EFFECT: &'static str = "when the application reads the file again";
    const EXAMPLE: &'static str = "path = \"qstash-token\"";
    type Sink = FileSink;

    fn build(self, context: &BuildContext) -> Result<Vec<FileSink>, Vec<SinkError>> {
        Ok(vec![FileSink { path: context.resolve(self.path) }])
    }
}

inventory::submit! { SinkFactory::of::<FileConfig>() }

#[derive(Clone, Debug)]
pub(crate) struct FileSink {
    path: PathBuf,
}

impl fmt::Display for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl FileSink {
    fn failed(&self, doing: &str, error: std::io::Error) -> SinkError {
        SinkError::other(format!("could not {doing} {self}")).because(error)
    }
}

#[async_trait]
impl TokenSink for FileSink {
    fn target(&self) -> TargetId {
        TargetId::new("file", self)
    }

    fn takes_effect(&self) -> TakesEffect {
        TakesEffect::OnRestart
    }

    fn quota(&self) -> Option<Quota> {
        None
    }

    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError> {
        let opened = fs::OpenOptions::new().append(true).open(&self.path);
        opened.map_err(|error| self.failed("open", error).advise("create it first"))?;
        Ok(Box::new(self.clone()))
    }

    async fn inspect(&self, token: &Token, _last: Option<&Receipt>) -> Result<Holds, SinkError> {
        let held = fs::read_to_string(&self.path).map_err(|error| self.failed("read", error))?;
        Ok(if held == token.expose() { Holds::Token } else { Holds::AnotherValue })
    }
}

#[async_trait]
impl PreparedSink for FileSink {
    fn readiness(&self) -> Readiness {
        Readiness::Unknown { why: "only a write tells whether its folder takes a file".to_owned() }
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn cost(&self) -> WriteCost {
        WriteCost { round_trip: Duration::ZERO, requests: 1, shared_place: None }
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        // A copy has the same mode, and a rename leaves the old value or the new one after a kill.
        let copy = self.path.with_added_extension("new");
        let written = fs::copy(&self.path, &copy)
            .and_then(|_| fs::write(&copy, token.expose()))
            .and_then(|()| fs::rename(&copy, &self.path));
        written.map_err(|error| self.failed("write", error))?;
        Ok(Receipt::default())
    }
}

fn main() {
    let registry = Registry::linked().expect("one plugin for each kind");
    assert_eq!(registry.kinds().collect::<Vec<_>>(), ["file"]);
}
