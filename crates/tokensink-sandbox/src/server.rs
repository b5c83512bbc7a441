//! An HTTP server on loopback that logs its requests and stops when it is dropped.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[cfg(feature = "tls")]
use crate::encryption::EncryptedListener;
use crate::network::Network;
use crate::protocol::Protocol;

/// A request that a fake received. It has no headers and no body, because they contain secrets.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// The method, in capitals.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The requested operation, if it is not in the path (with AWS).
    pub operation: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// The time of arrival.
    pub at: Instant,
}

#[derive(Clone, Debug, Default)]
struct Log {
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    /// The time of each connection's first request.
    connections: Arc<Mutex<BTreeMap<SocketAddr, Instant>>>,
    round_trip: Duration,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

#[cfg(feature = "tls")]
impl Connected<IncomingStream<'_, EncryptedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, EncryptedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A server that stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    log: Log,
    task: JoinHandle<()>,
}

impl Server {
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "without TLS, HTTP/1.1"))]
    pub(crate) async fn start(
        router: Router,
        network: &Network,
        protocol: Protocol,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let log = Log { round_trip: network.round_trip, ..Log::default() };
        let logged = router.layer(middleware::from_fn_with_state(log.clone(), record));
        let service = logged.into_make_service_with_connect_info::<Peer>();
        #[cfg(feature = "tls")]
        if let Some(encryption) = &network.encryption {
            let listener = encryption.listen(listener, protocol);
            let task = tokio::spawn(served(axum::serve(listener, service).into_future()));
            return Ok(Self { url: format!("https://{address}"), log, task });
        }
        let task = tokio::spawn(served(axum::serve(listener, service).into_future()));
        Ok(Self { url: format!("http://{address}"), log, task })
    }

    /// Returns the URL without a slash at the end, such as `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Returns every request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        locked(&self.log.requests).clone()
    }

    /// Returns the time of each connection's first request.
    pub(crate) fn connections(&self) -> Vec<Instant> {
        locked(&self.log.connections).values().copied().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs the server until the listener fails. After that, every request fails.
async fn served(server: impl Future<Output = io::Result<()>>) {
    let _ = server.await;
}

async fn record(
    State(log): State<Log>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let round_trip = log.round_trip;
    let is_new = match locked(&log.connections).entry(peer) {
        Entry::Vacant(place) => {
            place.insert(Instant::now());
            true
        }
        Entry::Occupied(_) => false,
    };
    let handshakes = if is_new { round_trip * 2 } else { Duration::ZERO };
    // The computed time instead of the time at which this task was woken, because the fakes' own work
    // is not part of the network delay.
    let arrives = Instant::now() + handshakes + round_trip / 2;
    travel_until(arrives).await;
    let operation = request.headers().get("x-amz-target").and_then(|name| name.to_str().ok());
    let entry = ReceivedRequest {
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        operation: operation.map(str::to_owned),
        status: 0,
        at: arrives,
    };
    let index = {
        let mut requests = locked(&log.requests);
        requests.push(entry);
        requests.len() - 1
    };
    let response = next.run(request).await;
    locked(&log.requests)[index].status = response.status().as_u16();
    travel_until(Instant::now() + round_trip / 2).await;
    response
}

async fn travel_until(arrives: Instant) {
    if arrives > Instant::now() {
        tokio::time::sleep_until(arrives.into()).await;
    }
}

/// Locks `state`, also after a panic of a handler: every change of the state is a single step.
pub(crate) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
