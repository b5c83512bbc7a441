//! The fixture that a plugin's tests provide for the conformance checks.

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokensink_core::{BuildContext, SinkFactory};

/// The target of a sink, accessed without the sink: through the file system, the methods of a fake
/// server, or another client.
///
/// Every check begins with an [`overwrite`](SinkFixture::overwrite), so all checks can share a fixture.
#[async_trait]
pub trait SinkFixture: Send + Sync {
    /// Returns the factory of the sink's kind, from `Registry::linked()`.
    fn factory(&self) -> &'static SinkFactory;

    /// Returns a table for this target, without the options that every table may have. The checks use
    /// the first sink that it builds.
    fn table(&self) -> Map<String, Value>;

    /// Returns the context in which a new run of the program would build its sinks.
    fn context(&self) -> BuildContext;

    /// Returns the evidence that an inspection can give.
    fn evidence(&self) -> Evidence;

    /// Returns the token as an application would read it, or `None` if there is none.
    async fn stored(&self) -> Option<String>;

    /// Returns the complete state of the target: values, neighbouring values, versions, permissions.
    /// Leave out only what the provider changes at every write, such as a time stamp.
    async fn snapshot(&self) -> String;

    /// Stores `value` like another program.
    async fn overwrite(&self, value: &str);

    /// Makes an already prepared write fail, for example by revoking a permission or removing the
    /// target. It is called last. Do nothing here if the target cannot fail.
    async fn obstruct(&self);
}

/// The evidence that an inspection of a target can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The value can be read and compared.
    Value,
    /// The value cannot be read, but the provider shows whether our write is still the newest.
    Receipt,
    /// Neither the value nor the newest write is known.
    Nothing,
}

/// A failed check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {how}")]
pub struct Violation {
    /// The check's name.
    pub check: &'static str,
    /// The observation that violates it. It contains no token.
    pub how: String,
}
