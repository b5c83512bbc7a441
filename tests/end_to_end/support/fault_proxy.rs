//! A TCP proxy that spoils the responses to some requests, or loses the requests themselves. A client
//! cannot distinguish the two: its request was carried out, or never will be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What happens to a request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The response is late.
    Latency,
    /// The connection is reset instead of a response.
    Reset,
    /// The connection is closed regularly instead of a response.
    HalfClose,
    /// There is no response, and the connection stays open.
    Stall,
    /// The response is truncated.
    Truncated,
    /// The response arrives byte by byte.
    Split,
    /// The connection is reset before the request is forwarded.
    RequestLost,
    /// The same, and the proxy accepts no connections from then on.
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

    /// Returns whether the complete response arrives.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::Latency | Self::Split)
    }

    /// Returns whether the request is never carried out.
    pub(crate) fn loses_the_request(self) -> bool {
        matches!(self, Self::RequestLost | Self::Refused)
    }
}

/// The exchanges to spoil, and the fault.
pub(crate) struct Spoiled {
    /// A text in the head of their requests.
    pub(crate) pattern: &'static str,
    /// Returns whether requests are spoiled already.
    pub(crate) is_due: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) fault: Fault,
}

/// A proxy in front of one server. It ends with the runtime.
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

    /// Closes every open connection. New ones are accepted.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_replace(());
    }

    /// Forwards everything unchanged from now on.
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
                        // Closing a socket that does not linger sends a reset.
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

/// Returns whether the connection stays open.
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
            // Closing a socket that does not linger sends a reset.
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
