//! The issuer: the Upstash Developer API, which shows and resets the token, and the QStash probe,
//! which tells whether a token is let in.
//!
//! Nothing here retries: when a request may be sent again is decided by the protocol.

mod account;
mod credentials;
mod developer_api;
mod pasted;
mod probe;
mod user;

pub use account::{ConnectError, Settings, Upstash};
pub use credentials::{Credentials, CredentialsError, Named, ReadFile};
pub use pasted::{Pasted, PastedError};
