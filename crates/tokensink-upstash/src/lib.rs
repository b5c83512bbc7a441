//! The issuer: the Upstash Developer API, which shows and resets the token, and the QStash probe,
//! which shows whether a token is accepted.
//!
//! Nothing here retries: the engine decides when a request may be sent again.

mod account;
mod credentials;
mod developer_api;
mod hosts;
mod pasted;
mod probe;
mod user;

pub use account::{ConnectError, Settings, Upstash};
pub use credentials::{Credentials, CredentialsError, Named, ReadFile};
pub use hosts::{DEVELOPER_API, QSTASH};
pub use pasted::{PastedToken, PastedTokenError};
pub use user::TokenKind;
