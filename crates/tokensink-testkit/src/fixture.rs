//! What a plugin's tests provide to the conformance checks: the place that a sink writes to.

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokensink_core::{BuildContext, SinkFactory};

/// A place that a sink writes to, seen from outside the sink: through the file system, the fake
/// server's own methods, another client.
///
/// Every check begins with an [`overwrite`](SinkFixture::overwrite), so one fixture serves them all.
#[async_trait]
pub trait SinkFixture: Send + Sync {
    /// The sink's kind: what `Registry::linked()` has under its name.
    fn factory(&self) -> &'static SinkFactory;

    /// A table that describes this place, without the options that every table may have. The checks
    /// use the first sink it makes.
    fn table(&self) -> Map<String, Value>;

    /// What a new run of the program would build its sinks with.
    fn context(&self) -> BuildContext;

    /// What can be learned about this place by asking it.
    fn evidence(&self) -> Evidence;

    /// Returns the token as an application would read it; `None` where there is none.
    async fn stored(&self) -> Option<String>;

    /// Returns everything that is there: values, neighbours, versions, permissions. Leave out only
    /// what the provider changes at every write, such as a time stamp.
    async fn snapshot(&self) -> String;

    /// Stores `value` as another program would.
    async fn overwrite(&self, value: &str);

    /// Makes a write fail that was already prepared: revoke, archive, remove. Called last. A place
    /// that cannot fail does nothing here.
    async fn obstruct(&self);
}

/// What can be learned about a place by asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The value can be read, and so compared.
    Value,
    /// The value is hidden; the provider shows whether our write is still the newest.
    Receipt,
    /// Neither.
    Nothing,
}

/// A failed check, and how a sink fails it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {how}")]
pub struct Violation {
    /// The check's name.
    pub check: &'static str,
    /// What was observed instead. It contains no token.
    pub how: String,
}
