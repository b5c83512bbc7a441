//! Servers that misbehave.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server that accepts connections and never responds. Returns its base URL.
pub(crate) async fn silent() -> String {
    answering(|mut stream| async move {
        let mut request = [0; 1024];
        while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
    })
    .await
}

/// Starts a server that responds to every request with these bytes, and closes the connection.
pub(crate) async fn responding(bytes: Vec<u8>) -> String {
    answering(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let mut request = [0; 8192];
            let _ = stream.read(&mut request).await;
            // A client may close the connection early, and should if the response is too large.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Returns a URL with a port that refuses connections.
pub(crate) async fn unreachable() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn answering<F, A>(answer: A) -> String
where
    A: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    url
}
