//! Loopback stand-ins for Upstash, GitHub and AWS Secrets Manager: real HTTP, real protocols, no
//! network. What `tokensink demo` and `tokensink sandbox` run, and what tests run against.
//!
//! Each stand-in refuses what the real service refuses, as far as that is documented, and lets a
//! caller look behind the protocol: at the values stored and the requests received.

mod aws;
#[cfg(feature = "tls")]
mod encryption;
mod github;
mod network;
mod server;
mod upstash;

use std::io;

pub use aws::Aws;
#[cfg(feature = "tls")]
pub use encryption::Encryption;
pub use github::GitHub;
pub use network::Network;
pub use server::Request;
pub use upstash::{ResetFault, Upstash};

/// All three stand-ins, each on a loopback port of its own. They stop when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    /// The Upstash Developer API and QStash.
    pub upstash: Upstash,
    /// The GitHub REST API, as far as it concerns secrets.
    pub github: GitHub,
    /// AWS Secrets Manager.
    pub aws: Aws,
}

impl Sandbox {
    /// Starts empty stand-ins on free loopback ports.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts empty stand-ins that are reached over `network`.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        Ok(Self {
            upstash: Upstash::start_at(network).await?,
            github: GitHub::start_at(network).await?,
            aws: Aws::start_at(network).await?,
        })
    }
}
