//! The HTTP layer that the issuer and the plugins share: clients without redirects and retries,
//! limits on responses, the mapping of a status to an error kind, and the decision whether a
//! credential may be sent to a host.
//!
//! The meaning of a particular API's responses is defined in the crate for that API.
//!
//! # A whole plugin
//!
//! ```
#![doc = include_str!("../examples/http_sink.rs")]
//! ```

#![warn(missing_docs)]

mod authorization;
mod bearer_api;
mod client;
mod excerpt;
mod network;
mod response;
mod retry_after;
mod send;
mod trust;

pub use authorization::{basic, bearer};
pub use bearer_api::BearerApi;
pub use client::{ClientError, build_client, is_loopback, parse_base_url};
pub use excerpt::{excerpt, looks_like_a_token};
pub use network::{check_network_settings, proxy_label, read_certificates};
pub use reqwest;
pub use response::{MAX_BODY_BYTES, Response, TransportError};
pub use retry_after::{retry_after, server_time};
pub use send::{PROXY_CREDENTIAL, error_kind, exchange, send, status_error, transport_error};
pub use trust::{
    AllowedHost, AllowedHostError, DefaultCredential, GrantedCredential, HostGrant, HostRefusal,
    HostSetting, InvalidVariableName, RefusalReason, VariableName, Vendor, authorize,
    is_aws_region, is_same_server, shown_host,
};
