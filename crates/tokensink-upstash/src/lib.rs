//! The token issuer: reads and resets the token with the Upstash Developer API, and probes QStash
//! to find out whether it accepts a token.
//!
//! This crate never retries: the engine decides when a request may be sent again.

mod account;
mod credentials;
mod developer_api;
mod hosts;
mod pasted;
mod probe;
mod user;

pub use account::{ConnectError, IssuerSettings, UpstashIssuer};
pub use credentials::{CredentialsError, Named, ReadFile, UpstashCredentials};
pub use hosts::{DEVELOPER_API, QSTASH};
pub use pasted::{PastedToken, PastedTokenError};
pub use user::TokenKind;
