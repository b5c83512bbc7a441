//! The simulated network between a client and a fake.

use std::time::Duration;

#[cfg(feature = "tls")]
use crate::encryption::Encryption;

/// The network between a client and a fake. By default it has no delay and uses plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub(crate) round_trip: Duration,
    #[cfg(feature = "tls")]
    pub(crate) encryption: Option<Encryption>,
}

impl Network {
    /// Delays all messages. `round_trip` is the time from sending a request to receiving its response,
    /// without the server's own time. The first request of a connection takes two more round trips, for
    /// the handshakes of TCP and of TLS 1.3.
    #[must_use]
    pub fn with_round_trip(mut self, round_trip: Duration) -> Self {
        self.round_trip = round_trip;
        self
    }

    /// Uses HTTPS instead of HTTP, and HTTP/2 if the provider supports it.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_encryption(mut self, encryption: &Encryption) -> Self {
        self.encryption = Some(encryption.clone());
        self
    }
}
