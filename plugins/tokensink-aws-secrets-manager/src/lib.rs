//! The `aws-secrets-manager` sink: writes the token to a secret of AWS Secrets Manager, as the whole
//! value or as keys of a JSON object, whose other keys it keeps.

mod caller;
mod client;
mod config;
mod credentials;
mod endpoint;
mod failure;
mod network;
mod secret_id;
mod sink;
mod stored;
mod value;
mod write;

use tokensink_core::{SinkFactory, inventory};

pub use config::AwsSecretsManagerConfig;
pub use sink::AwsSink;

inventory::submit! { SinkFactory::of::<AwsSecretsManagerConfig>() }
