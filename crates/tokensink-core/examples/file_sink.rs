//! A complete plugin: a sink that writes a file.

use std::time::Instant;
use std::{fs, io, io::Write as _, path::Path, path::PathBuf};

use tempfile::NamedTempFile;
use tokensink_core::{schemars::JsonSchema, serde::Deserialize, *};

/// A `[sinks.NAME]` table with `kind = "file"`: a file that contains the token and nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
#[schemars(crate = "tokensink_core::schemars")]
struct FileConfig {
    /// the file, relative to the config file's directory
    path: PathBuf,
}

impl SinkConfig for FileConfig {
    const KIND: &'static str = "file";
    const SUMMARY: &'static str = "a file that contains the token and nothing else";
    const PERMISSIONS: &'static str = "write permission on the file and on its directory";
    const TAKES_EFFECT: &'static str = "when the application reads the file again";
    const EXAMPLE: &'static str = "path = \"qstash-token\"";
    type Sink = FileSink;

    fn build(self, context: &BuildContext) -> Result<Vec<FileSink>, Vec<SinkError>> {
        let path = context.resolve(self.path);
        let target = TargetId::new("file", path.display());
        let info = SinkInfo::new(target, path.display().to_string(), TakesEffect::OnRestart);
        let replaces_anything = context.replaces_anything();
        Ok(vec![FileSink { info, path, replaces_anything }])
    }
}

inventory::submit! { SinkFactory::of::<FileConfig>() }

#[derive(Clone, Debug)]
pub(crate) struct FileSink {
    info: SinkInfo,
    path: PathBuf,
    replaces_anything: bool,
}

impl FileSink {
    /// Runs `work` on a thread that may block, and names the file in its error.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SinkError> {
        let path = self.path.clone();
        let outcome = tokio::task::spawn_blocking(move || work(&path)).await;
        outcome.map_err(io::Error::from).flatten().map_err(|error| {
            let problem = format!("cannot {action} {}", self.path.display());
            match error.kind() {
                io::ErrorKind::NotFound => SinkError::not_found(problem).with_help("create it"),
                io::ErrorKind::PermissionDenied => SinkError::permission_denied(problem)
                    .with_help("allow writing to the file and its directory"),
                _ => SinkError::other(problem),
            }
            .with_source(error)
        })
    }
}

#[async_trait]
impl TokenSink for FileSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let held = self.blocking("read", read).await?;
        let obstacle = StoredValue::of(held.expose()).obstacle();
        if let Some(obstacle) = obstacle.filter(|_| !self.replaces_anything) {
            return Err(SinkError::rejected(format!("{} holds {obstacle}", self.path.display()))
                .with_help("set `replace = \"anything\"` to overwrite it"));
        }
        let started = Instant::now();
        drop(self.blocking("replace", |path| stage(path, "")).await?);
        let estimate = WriteEstimate::one_request(started.elapsed());
        Ok(Preparation::new(Box::new(self.clone()), estimate))
    }

    async fn inspect(&self, _last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let held = self.blocking("read", read).await?;
        Ok(Content::Value(HeldValue::of(held.expose())).into())
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl TokenWriter for FileSink {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(Readiness::Ready)
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        let token = token.clone();
        let staged = self.blocking("replace", move |path| stage(path, token.expose())).await?;
        // If the caller has dropped this future by now, the file is not replaced.
        self.blocking("replace", |path| put_in_place(staged, path)).await?;
        Ok(Receipt::default())
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    fs::read_to_string(path).map(|held| Secret::new(held).trimmed())
}

/// Writes `value` to a temporary file that only this user may read. It is in the directory of the
/// real file, so that a symbolic link is kept, and it is removed when it is dropped.
fn stage(path: &Path, value: &str) -> io::Result<NamedTempFile> {
    let path = fs::canonicalize(path)?;
    let mut staged = NamedTempFile::new_in(path.parent().unwrap_or(&path))?;
    staged.write_all(value.as_bytes())?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

/// Renames `staged` over the file and keeps the file's mode. A reader sees the old value or the new.
fn put_in_place(staged: NamedTempFile, path: &Path) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    staged.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    let file = staged.persist(&path)?;
    file.sync_all()?;
    // A rename is durable only after its directory was synced.
    fs::File::open(path.parent().unwrap_or(&path))?.sync_all()
}

fn main() {
    let registry = Registry::linked().expect("one plugin for each kind");
    assert_eq!(registry.kinds().collect::<Vec<_>>(), ["file"]);
}
