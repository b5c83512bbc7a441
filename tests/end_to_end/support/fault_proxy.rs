//! A TCP proxy that spoils the answers to some requests, or loses the requests themselves. A client
//! cannot tell one from the other: what it asked for happened, or never will.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What becomes of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The answer is late.
    Latency,
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is closed in an orderly way instead of an answer.
    HalfClose,
    /// No answer comes, and the connection stays.
    Stall,
    /// The answer ends in the middle.
    Truncated,
    /// The answer comes byte by byte.
    Split,
    /// The connection is reset before the request is through.
    RequestLost,
    /// The same, and from then on nobody listens.
    Refused,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] = [
        Self::Latency,
        Self::Reset,
        Self::HalfClose,
        Self::Stall,
        Self::Truncated,
        Self::Split,
        Self::RequestLost,
        Self::Refused,
    ];

    /// Whether the whole answer gets through all the same.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::Latency | Self::Split)
    }

    /// Whether what was asked for never happens.
    pub(crate) fn loses_the_request(self) -> bool {
        matches!(self, Self::RequestLost | Self::Refused)
    }
}

/// Which exchanges are spoiled, and how.
pub(crate) struct Spoiled {
    /// Stands in the head of their requests.
    pub(crate) pattern: &'static str,
    /// Whether the time for it has come.
    pub(crate) is_due: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) fault: Fault,
}

/// A proxy before one server. It ends with the runtime.
pub(crate) struct Proxy {
    url: String,
    state: Arc<State>,
}

struct State {
    spoiled: Spoiled,
    is_healed: AtomicBool,
    is_listening: watch::Sender<bool>,
    cuts: watch::Sender<()>,
}

impl State {
    fn is_spoiled(&self, head: &[u8]) -> bool {
        String::from_utf8_lossy(head).contains(self.spoiled.pattern)
            && !self.is_healed.load(Ordering::Relaxed)
            && (self.spoiled.is_due)()
    }
}

impl Proxy {
    pub(crate) async fn before(upstream: &str, spoiled: Spoiled) -> Self {
        let upstream = upstream.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_healed = AtomicBool::new(false);
        let (is_listening, cuts) = (watch::Sender::new(true), watch::Sender::new(()));
        let state = Arc::new(State { spoiled, is_healed, is_listening, cuts });
        tokio::spawn(listen(listener, upstream, Arc::clone(&state)));
        Self { url: format!("http://{address}"), state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Breaks every connection there is. New ones may be made.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_replace(());
    }

    /// From now on everything gets through.
    pub(crate) async fn heal(&self) {
        self.state.is_healed.store(true, Ordering::Relaxed);
        self.state.is_listening.send_replace(true);
        let address = self.url.trim_start_matches("http://");
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn listen(mut listener: TcpListener, upstream: String, state: Arc<State>) {
    let address = listener.local_addr().unwrap();
    let mut is_listening = state.is_listening.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => Some(accepted.unwrap().0),
            _ = is_listening.wait_for(|listens| !listens) => None,
        };
        if let Some(client) = accepted {
            let server = TcpStream::connect(&upstream).await.unwrap();
            tokio::spawn(pump(client, server, Arc::clone(&state)));
        } else {
            drop(listener);
            is_listening.wait_for(|listens| *listens).await.unwrap();
            listener = TcpListener::bind(address).await.unwrap();
        }
    }
}

async fn pump(mut client: TcpStream, mut server: TcpStream, state: Arc<State>) {
    let fault = state.spoiled.fault;
    let mut cuts = state.cuts.subscribe();
    let (mut request, mut from_client, mut from_server) = (Vec::new(), [0; 65536], [0; 65536]);
    loop {
        tokio::select! {
            _ = cuts.changed() => return,
            read = client.read(&mut from_client) => match read {
                Ok(read) if read > 0 => {
                    request.extend(&from_client[..read]);
                    if fault.loses_the_request() && state.is_spoiled(&request) {
                        state.is_listening.send_replace(fault != Fault::Refused);
                        // With nothing to linger for, closing sends a reset.
                        let _ = client.set_zero_linger();
                        return;
                    }
                    if server.write_all(&from_client[..read]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = server.read(&mut from_server) => match read {
                Ok(read) if read > 0 => {
                    let answer = &from_server[..read];
                    let is_spoiled = !fault.loses_the_request() && state.is_spoiled(&request);
                    request.clear();
                    let goes_on = if is_spoiled {
                        spoil(&mut client, answer, fault).await
                    } else {
                        client.write_all(answer).await.is_ok()
                    };
                    if !goes_on {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

/// Whether the connection goes on.
async fn spoil(client: &mut TcpStream, answer: &[u8], fault: Fault) -> bool {
    match fault {
        Fault::Latency => {
            sleep(Duration::from_millis(100)).await;
            client.write_all(answer).await.is_ok()
        }
        Fault::Split => {
            for byte in answer {
                if client.write_all(&[*byte]).await.is_err() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
            true
        }
        Fault::Reset => {
            // With nothing to linger for, closing sends a reset.
            let _ = client.set_zero_linger();
            false
        }
        Fault::HalfClose => {
            let _ = client.shutdown().await;
            sleep(Duration::from_secs(5)).await;
            false
        }
        Fault::Stall => {
            sleep(Duration::from_secs(60)).await;
            false
        }
        Fault::Truncated => {
            let _ = client.write_all(&answer[..answer.len() / 2]).await;
            false
        }
        Fault::RequestLost | Fault::Refused => false,
    }
}
