//! The sink: one file, and the variables in it that hold the token.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokensink_core::{
    BuildContext, Inspection, NearbyValue, Preparation, RateLimits, Readiness, Receipt, SinkError,
    SinkErrorKind, SinkInfo, Survey, TakesEffect, TargetId, Token, TokenSink, TokenWriter,
    WriteEstimate,
};
use zeroize::Zeroizing;

use crate::config::DEFAULT_KEY;
use crate::directory::{Directories, MAX_IN_FLIGHT};
use crate::edit::{content, edited, nearby, rehearsed, values};
use crate::file::{Contents, EnvFile, lock_directory};
use crate::managed::{refuse_managed_file, refuse_other_values, url_warnings};
use crate::scan::assignments;
use crate::siblings::siblings;
use crate::tracked::is_tracked;

const TRACKED: &str = "git tracks it, and the token would be in the next commit: \
                       remove it with `git rm --cached`, and ignore it";

/// Variables in one `.env` file.
#[derive(Clone, Debug)]
pub struct DotenvSink {
    info: SinkInfo,
    path: PathBuf,
    keys: Vec<String>,
    create: bool,
    base_dir: PathBuf,
    replaces_anything: bool,
    patience: Duration,
    directories: Arc<Directories>,
}

impl DotenvSink {
    pub(crate) fn new(path: &Path, keys: &[String], create: bool, context: &BuildContext) -> Self {
        let resolved = context.resolve(path);
        let base = context.resolve(".");
        let shown = shown(&resolved, &base);
        let label = match keys {
            [key] if key == DEFAULT_KEY => shown,
            keys => format!("{shown} {}", keys.join(", ")),
        };
        let info = SinkInfo::new(target(&resolved), label, TakesEffect::OnRestart)
            .with_rate_limits(RateLimits::concurrent("dotenv", MAX_IN_FLIGHT));
        let patience = context.attempt_timeout();
        Self {
            info,
            path: resolved,
            keys: keys.to_vec(),
            create,
            base_dir: base,
            replaces_anything: context.replaces_anything(),
            patience,
            directories: context.shared("dotenv directories", Directories::default),
        }
    }

    /// Reads the file; an empty one where it is to be created.
    pub(crate) fn read(&self) -> Result<(EnvFile, Contents), SinkError> {
        let place = EnvFile::find(&self.path, self.create)?;
        let contents = match place.read()? {
            Some(contents) => contents,
            None if self.create => Contents::missing(),
            None => {
                return Err(SinkError::not_found("there is no such file").with_help("create it"));
            }
        };
        Ok((place, contents))
    }

    fn prepare_now(&self) -> Result<Preparation, SinkError> {
        let (place, contents) = self.read()?;
        place.refuse_unwritable(&contents)?;
        self.refuse_contents(&contents)?;
        let lock = lock_directory(&place.directory, self.patience)?;
        let mut warnings = place.sweep();
        drop(lock);
        // Preparations are in flight together as writes are, so this includes what they share.
        let started = Instant::now();
        let bytes = rehearsed(&contents.bytes, &self.keys, self.create)?;
        place.rehearse(&contents, &bytes)?;
        let estimate = WriteEstimate::one_request(started.elapsed());
        warnings.extend(self.warnings(&place, &contents));
        let writer = Writer { sink: self.clone(), file: place.file.clone() };
        Ok(Preparation::new(Box::new(writer), estimate)
            .with_warnings(warnings)
            .with_foreign_destination(place.outside(&self.base_dir)))
    }

    fn warnings(&self, place: &EnvFile, contents: &Contents) -> Vec<String> {
        let found = assignments(&contents.bytes, &self.keys);
        let mut warnings = Vec::new();
        for key in &self.keys {
            let lines: Vec<String> = found
                .iter()
                .filter(|one| one.key == *key)
                .map(|one| one.line.to_string())
                .collect();
            if lines.len() > 1 {
                warnings
                    .push(format!("{key} is set in lines {}: all are written", lines.join(", ")));
            }
        }
        for one in found.iter().filter(|one| one.has_glued_comment) {
            warnings
                .push(format!("the `#…` directly after the value in line {} is removed", one.line));
        }
        if contents.bytes.starts_with(b"\xEF\xBB\xBF") && found.iter().any(|one| one.line == 1) {
            warnings.push(
                "some readers do not see line 1, because the file begins with a BOM".to_owned(),
            );
        }
        if contents.mode & 0o004 != 0 {
            warnings.push(format!("everybody may read it (mode {:o})", contents.mode));
        }
        if is_tracked(&place.file) {
            warnings.push(TRACKED.to_owned());
        }
        warnings.extend(url_warnings(&contents.bytes, &self.keys));
        if self.path.file_name().is_some_and(|name| name == ".envrc") {
            warnings.push("direnv needs `direnv allow` after the write".to_owned());
        }
        warnings
    }

    /// The new bytes of the file with `token`; an error where it contains what must not be replaced.
    pub(crate) fn edited(
        &self,
        contents: &Contents,
        token: &Token,
    ) -> Result<Zeroizing<Vec<u8>>, SinkError> {
        self.refuse_contents(contents)?;
        edited(&contents.bytes, &self.keys, token.expose(), self.create)
    }

    fn refuse_contents(&self, contents: &Contents) -> Result<(), SinkError> {
        refuse_managed_file(&contents.bytes)?;
        if self.replaces_anything {
            return Ok(());
        }
        refuse_other_values(&contents.bytes, &self.keys)
    }

    /// The longest that a write waits for a lock.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    fn inspect_now(&self) -> Result<Inspection, SinkError> {
        let (_, contents) = self.read()?;
        let nearby = nearby(&contents.bytes, &self.keys).into_iter();
        let nearby = nearby.map(|(key, fingerprint)| {
            NearbyValue::new(format!("variable {key}"), Some(fingerprint))
        });
        let inspection = Inspection::from(content(&contents.bytes, &self.keys));
        Ok(inspection.with_nearby(nearby.collect()))
    }

    fn survey_now(&self) -> Result<Survey, SinkError> {
        let own = EnvFile::find(&self.path, self.create)?;
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        for sibling in siblings(&self.path)? {
            let name = shown(&sibling.path, &self.base_dir);
            let read = EnvFile::find(&sibling.path, true).and_then(|place| {
                // A symbolic link to this sink's file is not a copy.
                if place.file == own.file { Ok(None) } else { place.read() }
            });
            let contents = match read {
                Ok(Some(contents)) => contents,
                Ok(None) => continue,
                // A broken link, a directory, a pipe: no reader finds a value there.
                Err(error)
                    if matches!(
                        error.kind(),
                        SinkErrorKind::NotFound | SinkErrorKind::Rejected
                    ) =>
                {
                    continue;
                }
                Err(error) => {
                    warnings.push(format!("cannot look for the token in {name}: {error}"));
                    continue;
                }
            };
            let value = |(key, fingerprint)| {
                NearbyValue::new(format!("{name} {key}"), Some(fingerprint))
                    .at_target(target(&sibling.path))
            };
            for held in values(&contents.bytes, &self.keys) {
                let value = value(held);
                let wins = sibling.takes_precedence;
                found.push(if wins { value.taking_precedence() } else { value });
            }
            found.extend(nearby(&contents.bytes, &self.keys).into_iter().map(value));
        }
        Ok(Survey::new(found, warnings))
    }

    /// Runs something that blocks, away from the threads that serve the network.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let sink = self.clone();
        match tokio::task::spawn_blocking(move || work(&sink)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SinkError::other("the edit panicked")),
        }
    }
}

/// The identity of a sink at `path`.
fn target(path: &Path) -> TargetId {
    TargetId::new("dotenv", path.display())
}

/// Names `path` for people: relative to the config file's directory where it is below it.
fn shown(path: &Path, base_dir: &Path) -> String {
    path.strip_prefix(base_dir).unwrap_or(path).display().to_string()
}

#[async_trait]
impl TokenSink for DotenvSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        self.blocking(Self::prepare_now).await
    }

    async fn inspect(&self, _last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        self.blocking(Self::inspect_now).await
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        self.blocking(Self::survey_now).await
    }
}

/// Writes a file that was found fit to be edited.
#[derive(Debug)]
struct Writer {
    sink: DotenvSink,
    /// The file behind every symbolic link, as it was prepared and shown.
    file: PathBuf,
}

#[async_trait]
impl TokenWriter for Writer {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(Readiness::Ready)
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        // Requests that are ready are sent first: a server takes longer than a disk.
        tokio::task::yield_now().await;
        let sink = self.sink.clone();
        let place = sink.blocking(|sink| EnvFile::find(&sink.path, sink.create)).await?;
        if place.file != self.file {
            let file = shown(&place.file, &sink.base_dir);
            return Err(SinkError::conflict(format!("leads to another file since: {file}"))
                .with_help("run `tokensink check` to see where it leads"));
        }
        let directory = sink.directories.get(&place.directory);
        directory.write(sink, place, token.clone()).await?;
        Ok(Receipt::default().with("token", token.fingerprint().to_string()))
    }
}
