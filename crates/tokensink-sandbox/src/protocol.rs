//! The HTTP versions of a provider.

/// The newest version that a provider offers to clients that support both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, if the connection is encrypted.
    Http2,
}
