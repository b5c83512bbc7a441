//! How a stand-in is reached: how far away it is, and whether its connections are encrypted.

use std::time::Duration;

#[cfg(feature = "tls")]
use crate::encryption::Encryption;

/// The way to a stand-in: no distance and plain HTTP, unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub(crate) round_trip: Duration,
    #[cfg(feature = "tls")]
    pub(crate) encryption: Option<Encryption>,
}

impl Network {
    /// So far away: from a request's leaving to its answer's arrival, apart from the work itself. A
    /// connection's first request takes two more: the handshakes of TCP and of TLS 1.3.
    #[must_use]
    pub fn with_round_trip(mut self, round_trip: Duration) -> Self {
        self.round_trip = round_trip;
        self
    }

    /// HTTPS instead of HTTP, and HTTP/2 where the provider speaks it.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_encryption(mut self, encryption: &Encryption) -> Self {
        self.encryption = Some(encryption.clone());
        self
    }
}

/// What a provider speaks to clients that can do both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2, where the connection is encrypted.
    Http2,
}
