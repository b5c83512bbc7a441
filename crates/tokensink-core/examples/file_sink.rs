//! A whole plugin: a sink that is a file.

use std::{fs, io, path::Path, path::PathBuf, time::Duration};
use tokensink_core::{schemars::JsonSchema, serde::Deserialize, *};

/// `[sinks.NAME]` with `kind = "file"`: a file that holds the token and nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
#[schemars(crate = "tokensink_core::schemars")]
struct FileConfig {
    /// the file, relative to the config file's directory
    path: PathBuf,
}

impl SinkConfig for FileConfig {
    const KIND: &'static str = "file";
    const SUMMARY: &'static str = "a file that holds the token and nothing else";
    const PERMISSIONS: &'static str = "write permission on the file and on its directory";
    const TAKES_EFFECT: &'static str = "when the application reads the file again";
    const EXAMPLE: &'static str = "path = \"qstash-token\"";
    type Sink = FileSink;

    fn build(self, context: &BuildContext) -> Result<Vec<FileSink>, Vec<SinkError>> {
        let path = context.resolve(self.path);
        let target = TargetId::new("file", path.display());
        let label = path.display().to_string();
        Ok(vec![FileSink { info: SinkInfo::new(target, label, TakesEffect::OnRestart), path }])
    }
}

inventory::submit! { SinkFactory::of::<FileConfig>() }

#[derive(Clone, Debug)]
pub(crate) struct FileSink {
    info: SinkInfo,
    path: PathBuf,
}

impl FileSink {
    fn cannot(&self, doing: &str, error: io::Error) -> SinkError {
        SinkError::other(format!("cannot {doing} {}", self.path.display())).with_source(error)
    }
}

#[async_trait]
impl TokenSink for FileSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let opened = fs::OpenOptions::new().append(true).open(&self.path);
        opened.map_err(|error| self.cannot("open", error).with_help("create it first"))?;
        let estimate = WriteEstimate::one_request(Duration::ZERO);
        Ok(Preparation::new(Box::new(self.clone()), estimate).with_readiness(unproven()))
    }

    async fn inspect(&self, _last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let held = fs::read_to_string(&self.path).map_err(|error| self.cannot("read", error))?;
        Ok(Content::Value(HeldValue::of(&held)).into())
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl TokenWriter for FileSink {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(unproven())
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        replace(&self.path, token.expose()).map_err(|error| self.cannot("write", error))?;
        Ok(Receipt::default())
    }
}

fn unproven() -> Readiness {
    Readiness::Unknown { reason: "only a write shows whether its directory accepts one".to_owned() }
}

/// A copy has the same mode, and a rename leaves the old value or the new one after a kill.
fn replace(path: &Path, value: &str) -> io::Result<()> {
    let copy = path.with_added_extension("new");
    fs::copy(path, &copy)?;
    fs::write(&copy, value)?;
    fs::rename(&copy, path)
}

fn main() {
    let registry = Registry::linked().expect("one plugin for each kind");
    assert_eq!(registry.kinds().collect::<Vec<_>>(), ["file"]);
}
