//! The `aws-secrets-manager` sink: keeps the token in a secret of AWS Secrets Manager, alone or as
//! keys of a JSON object whose other keys belong to others.

mod client;
mod config;
mod endpoint;
mod failure;
mod sink;
mod value;
mod write;

use tokensink_core::{SinkFactory, inventory};

pub use config::AwsSecretsManagerConfig;
pub use sink::AwsSink;

inventory::submit! { SinkFactory::of::<AwsSecretsManagerConfig>() }
