//! A TCP proxy that spoils the answers to some requests. The request itself always arrives: what it
//! asks for happens, and only the client cannot know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is late.
    Latency,
    /// The connection is reset instead.
    Reset,
    /// The connection is closed in an orderly way instead.
    HalfClose,
    /// Nothing comes, and the connection stays.
    Stall,
    /// It ends in the middle.
    Truncated,
    /// It comes byte by byte.
    Split,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::Latency, Self::Reset, Self::HalfClose, Self::Stall, Self::Truncated, Self::Split];

    /// Whether the whole answer gets through all the same.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::Latency | Self::Split)
    }
}

/// Which answers are spoiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoiled {
    /// Stands in the head of their requests.
    pub(crate) pattern: &'static str,
    /// So many of them get through first.
    pub(crate) spared: usize,
    pub(crate) fault: Fault,
}

/// A proxy before one server. It ends with the runtime.
pub(crate) struct Proxy {
    url: String,
    left: Arc<Left>,
}

/// How many answers still get through.
struct Left(AtomicUsize);

impl Left {
    fn is_spoiled(&self) -> bool {
        let less = |left: usize| left.checked_sub(usize::from(left != usize::MAX));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
    }
}

impl Proxy {
    pub(crate) async fn before(upstream: &str, spoiled: Spoiled) -> Self {
        let upstream = upstream.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(Left(AtomicUsize::new(spoiled.spared)));
        let shared = Arc::clone(&left);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&upstream).await.unwrap();
                tokio::spawn(pump(client, server, spoiled, Arc::clone(&shared)));
            }
        });
        Self { url, left }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on everything gets through.
    pub(crate) fn heal(&self) {
        self.left.0.store(usize::MAX, Ordering::Relaxed);
    }
}

async fn pump(mut client: TcpStream, mut server: TcpStream, spoiled: Spoiled, left: Arc<Left>) {
    let (mut request, mut from_client, mut from_server) = (Vec::new(), [0; 65536], [0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(read) if read > 0 => {
                    request.extend(&from_client[..read]);
                    if server.write_all(&from_client[..read]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = server.read(&mut from_server) => match read {
                Ok(read) if read > 0 => {
                    let asked = String::from_utf8_lossy(&request).into_owned();
                    request.clear();
                    let answer = &from_server[..read];
                    let is_spoiled = asked.contains(spoiled.pattern) && left.is_spoiled();
                    let goes_on = if is_spoiled {
                        spoil(&mut client, answer, spoiled.fault).await
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
    }
}
