//! One HTTP server on loopback: binding, the log of requests, stopping on drop.

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

/// A request that a fake received, without headers and body, which contain secrets.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What the request asks for, where the path does not show it (the AWS operation).
    pub operation: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// When it arrived.
    pub at: Instant,
}

#[derive(Clone, Debug, Default)]
struct Log {
    requests: Arc<Mutex<Vec<Request>>>,
    /// When each connection brought its first request.
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

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        locked(&self.log.requests).clone()
    }

    /// When each connection brought its first request.
    pub(crate) fn connections(&self) -> Vec<Instant> {
        locked(&self.log.connections).values().copied().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs until the listener breaks; then every request fails.
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
    // Not when this task was woken: the fakes' own work does not count as travel time.
    let arrives = Instant::now() + handshakes + round_trip / 2;
    travel_until(arrives).await;
    let operation = request.headers().get("x-amz-target").and_then(|name| name.to_str().ok());
    let entry = Request {
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

/// Locks `state`, even after a handler panicked: the state is only ever changed in one step.
pub(crate) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
