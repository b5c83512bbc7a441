//! The built-in sinks. Naming a plugin's crate once links it.

#[cfg(feature = "aws-secrets-manager")]
use tokensink_aws_secrets_manager as _;
#[cfg(feature = "dotenv")]
use tokensink_dotenv as _;
#[cfg(feature = "github-actions")]
use tokensink_github_actions as _;
