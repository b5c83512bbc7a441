//! stand-in

use std::io;

use axum::Router;

use crate::server::{Request, Server};

/// The stand-in.
#[derive(Debug)]
pub struct Aws {
    server: Server,
}

impl Aws {
    /// Starts it, empty.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start() -> io::Result<Self> {
        Ok(Self { server: Server::start(Router::new()).await? })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}
