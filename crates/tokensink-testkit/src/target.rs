//! What a plugin's tests tell the laws about the place that a sink writes to.

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokensink_core::{BuildContext, SinkFactory};

/// A place that a sink writes to, seen from outside the sink: through the file system, the
/// stand-in's own methods, another client.
///
/// Every law that looks at the place begins with an [`overwrite`](Target::overwrite), so one target
/// serves them all.
#[async_trait]
pub trait Target: Send + Sync {
    /// The sink's kind: what `Registry::linked()` has under its name.
    fn factory(&self) -> &'static SinkFactory;

    /// A table that describes this place, without the coordinator's own options. The laws look at
    /// the first sink it makes.
    fn table(&self) -> Map<String, Value>;

    /// What a new run of the program would build its sinks with.
    fn context(&self) -> BuildContext;

    /// What can be told about this place by asking it.
    fn evidence(&self) -> Evidence;

    /// The token as an application would read it; `None` where there is none.
    async fn stored(&self) -> Option<String>;

    /// All that is there: values, neighbours, versions, rights. Leave out only what the provider
    /// moves at every write, such as a time stamp.
    async fn snapshot(&self) -> String;

    /// Stores `value` as somebody else would.
    async fn overwrite(&self, value: &str);

    /// Makes a write fail that was prepared already: revoke, archive, remove. Called last. A place
    /// that cannot fail does nothing here.
    async fn obstruct(&self);
}

/// What can be told about a place by asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The value can be read, and so compared.
    Value,
    /// The value is hidden; the provider tells whether our write is still the newest.
    Receipt,
    /// Neither.
    Nothing,
}

/// A law, and how a sink breaks it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{law}: {how}")]
pub struct Violation {
    /// The law's name, in words.
    pub law: &'static str,
    /// What was seen instead. It carries no value of a token.
    pub how: String,
}
