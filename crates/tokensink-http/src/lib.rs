//! The HTTP manners that every HTTP-speaking part of tokensink shares: where a client may go, what
//! it never does by itself, and how much of an answer it believes.
//!
//! What a particular API's answers mean stays in the crate that speaks to it.

mod answer;
mod authorization;
mod client;
mod excerpt;
mod pause;

pub use answer::{Answer, Failure, MAX_BODY_BYTES};
pub use authorization::{basic, bearer};
pub use client::{ClientError, build_client, is_loopback, parse_base_url};
pub use excerpt::{excerpt, looks_like_a_token};
pub use pause::{requested_pause, server_time};
pub use reqwest;
