//! The sink: one file, and the variables in it that hold the token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokensink_core::{
    BuildContext, Holds, PreparedSink, RateLimits, Readiness, Receipt, SinkError, TakesEffect,
    TargetId, Token, TokenSink, WriteEstimate,
};

use crate::dialect::is_set_for_some;
use crate::edit::{edited, found_by_all, rehearsed};
use crate::file::{Contents, Place};
use crate::scan::assignments;
use crate::tracked::is_tracked;

/// The siblings that frameworks let win over `.env` (Next.js and Vite do).
const SHADOWS: [&str; 5] = [
    ".env.local",
    ".env.development",
    ".env.development.local",
    ".env.production",
    ".env.production.local",
];

/// Files under way at once, two for each processor: while one waits for the disk, another works. Each
/// takes a thread, and with more of them those that serve the network would wait for a processor.
static AT_ONCE: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(4, |processors| 2 * processors.get()));

const TRACKED: &str = "git tracks it, and the token would be in the next commit: \
                       take it out with `git rm --cached`, and ignore it";

/// Variables in one `.env` file.
#[derive(Clone, Debug)]
pub struct DotenvSink {
    path: PathBuf,
    shown: PathBuf,
    keys: Vec<String>,
    create: bool,
    patience: Duration,
}

impl DotenvSink {
    pub(crate) fn new(path: &Path, keys: &[String], create: bool, context: &BuildContext) -> Self {
        let resolved = context.resolve(path);
        let base = context.resolve(".");
        let shown = resolved.strip_prefix(&base).unwrap_or(&resolved).to_owned();
        let patience = context.attempt_timeout();
        Self { path: resolved, shown, keys: keys.to_vec(), create, patience }
    }

    fn read(&self) -> Result<(Place, Contents), SinkError> {
        let place = Place::find(&self.path, self.create)?;
        let contents = match place.read()? {
            Some(contents) => contents,
            None if self.create => Contents::missing(),
            None => return Err(SinkError::not_found("there is no such file").with_help("make it")),
        };
        Ok((place, contents))
    }

    fn prepare_now(&self) -> Result<Prepared, SinkError> {
        let started = Instant::now();
        let (place, contents) = self.read()?;
        place.refuse_unwritable(&contents)?;
        let bytes = rehearsed(&contents.bytes, &self.keys, self.create)?;
        place.rehearse(&contents, &bytes)?;
        let warnings = self.warnings(&place, &contents);
        Ok(Prepared { sink: self.clone(), warnings, round_trip: started.elapsed() })
    }

    fn warnings(&self, place: &Place, contents: &Contents) -> Vec<String> {
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
                    .push(format!("{key} stands in lines {}: all are written", lines.join(", ")));
            }
        }
        for one in found.iter().filter(|one| one.has_glued_comment) {
            warnings.push(format!("the `#…` glued to the value in line {} goes", one.line));
        }
        if contents.bytes.starts_with(b"\xEF\xBB\xBF") && found.iter().any(|one| one.line == 1) {
            warnings
                .push("some readers miss line 1, because the file begins with a BOM".to_owned());
        }
        if contents.mode & 0o004 != 0 {
            warnings.push(format!("everybody may read it (mode {:o})", contents.mode));
        }
        if is_tracked(&place.file) {
            warnings.push(TRACKED.to_owned());
        }
        warnings.extend(self.shadows());
        warnings
    }

    fn shadows(&self) -> Vec<String> {
        if self.path.file_name().is_none_or(|name| name != ".env") {
            return Vec::new();
        }
        let holding = SHADOWS.iter().filter(|name| {
            let sibling = Place::find(&self.path.with_file_name(name), false);
            let contents = sibling.and_then(|place| place.read());
            contents.is_ok_and(|contents| {
                contents.is_some_and(|one| is_set_for_some(&one.bytes, &self.keys))
            })
        });
        holding.map(|name| format!("{name} holds the variable too, and may win over it")).collect()
    }

    fn write_now(&self, token: &Token, is_abandoned: &AtomicBool) -> Result<Receipt, SinkError> {
        let place = Place::find(&self.path, self.create)?;
        let _lock = place.lock(self.patience)?;
        place.sweep()?;
        // Read under the lock: what a neighbour wrote since the preparation must not be lost.
        let (place, contents) = self.read()?;
        let bytes = edited(&contents.bytes, &self.keys, token.expose(), self.create)?;
        if *bytes != *contents.bytes || !contents.exists() {
            place.replace(&contents, &bytes, is_abandoned)?;
        }
        Ok(Receipt::default().with("token", token.fingerprint().to_string()))
    }

    fn inspect_now(&self, token: &Token) -> Result<Holds, SinkError> {
        let (_, contents) = self.read()?;
        Ok(found_by_all(&contents.bytes, &self.keys, token.expose()))
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

impl fmt::Display for DotenvSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown.display())?;
        if self.keys != ["QSTASH_TOKEN"] {
            write!(f, " {}", self.keys.join(", "))?;
        }
        Ok(())
    }
}

#[async_trait]
impl TokenSink for DotenvSink {
    fn target(&self) -> TargetId {
        TargetId::new("dotenv", self.path.display())
    }

    fn takes_effect(&self) -> TakesEffect {
        TakesEffect::OnRestart
    }

    fn quota(&self) -> Option<RateLimits> {
        let key = "dotenv".to_owned();
        Some(RateLimits { key, concurrent: *AT_ONCE, reads: None, writes: None })
    }

    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError> {
        let prepared = self.blocking(Self::prepare_now).await?;
        Ok(Box::new(prepared))
    }

    async fn inspect(&self, token: &Token, _last: Option<&Receipt>) -> Result<Holds, SinkError> {
        let token = token.clone();
        self.blocking(move |sink| sink.inspect_now(&token)).await
    }
}

/// A file that was found fit to be edited.
#[derive(Debug)]
struct Prepared {
    sink: DotenvSink,
    warnings: Vec<String>,
    round_trip: Duration,
}

#[async_trait]
impl PreparedSink for Prepared {
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn cost(&self) -> WriteEstimate {
        WriteEstimate { round_trip: self.round_trip, requests: 1, shared_place: None }
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        // A server is farther than a disk: requests that are ready leave first.
        tokio::task::yield_now().await;
        let abandoned = Abandoned::default();
        let (token, flag) = (token.clone(), Arc::clone(&abandoned.0));
        let written = self.sink.blocking(move |sink| sink.write_now(&token, &flag)).await;
        drop(abandoned);
        written
    }
}

/// Tells the thread that writes when nobody waits for it any more: a write that lands late could
/// bring an old token back.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
