//! One HTTP server on loopback: binding, the log of requests, stopping on drop.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request that a stand-in received. It holds no header and no body: those carry secrets.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What the request asks for, where the path does not tell (the AWS operation).
    pub operation: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// When it arrived.
    pub at: Instant,
}

type Log = Arc<Mutex<Vec<Request>>>;

/// A server that stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    log: Log,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let log = Log::default();
        let logged = router.layer(middleware::from_fn_with_state(Arc::clone(&log), record));
        let task = tokio::spawn(async move {
            // It only returns when the listener breaks, and then every request says so.
            let _ = axum::serve(listener, logged).await;
        });
        Ok(Self { address, log, task })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        locked(&self.log).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(State(log): State<Log>, request: axum::extract::Request, next: Next) -> Response {
    let operation = request.headers().get("x-amz-target").and_then(|name| name.to_str().ok());
    let entry = Request {
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        operation: operation.map(str::to_owned),
        status: 0,
        at: Instant::now(),
    };
    let index = {
        let mut log = locked(&log);
        log.push(entry);
        log.len() - 1
    };
    let response = next.run(request).await;
    locked(&log)[index].status = response.status().as_u16();
    response
}

/// The lock, even after a handler panicked: the state is only ever changed in one step.
pub(crate) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
