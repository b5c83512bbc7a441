//! Fake servers of Upstash, GitHub and AWS Secrets Manager on loopback, with the real protocols. The
//! commands `demo` and `sandbox` run them, and the tests run against them.
//!
//! Each fake refuses the same requests as the real service, as far as that is documented. Its methods
//! give access to the stored values and the received requests.

mod aws;
#[cfg(feature = "tls")]
mod encryption;
mod github;
mod network;
mod protocol;
mod server;
mod upstash;

use std::io;

pub use aws::Aws;
#[cfg(feature = "tls")]
pub use encryption::Encryption;
pub use github::GitHub;
pub use network::Network;
pub use server::ReceivedRequest;
pub use upstash::{ResetFault, Upstash};

/// All three fakes, each on its own loopback port. They stop when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    /// The fake of the Upstash Developer API and QStash.
    pub upstash: Upstash,
    /// The fake of GitHub.
    pub github: GitHub,
    /// The fake of AWS Secrets Manager.
    pub aws: Aws,
}

impl Sandbox {
    /// Starts empty fakes on free loopback ports.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts empty fakes behind a simulated network.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        Ok(Self {
            upstash: Upstash::start_at(network).await?,
            github: GitHub::start_at(network).await?,
            aws: Aws::start_at(network).await?,
        })
    }
}
