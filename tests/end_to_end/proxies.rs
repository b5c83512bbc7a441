//! A proxy that cannot be used: it is named, and what cannot pass is not tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::servers;
use crate::support::world::{DOTENV, World, words};

/// Runs `check` against Upstash's own host, which no request reaches: `proxy` is before it.
async fn check_behind(world: &World, proxy: &str) -> (i32, String) {
    world.file("tokensink.toml", DOTENV);
    let mut command = world.command(&["check", "--output", "json"]);
    command.env("HTTPS_PROXY", proxy);
    let output = world.finish(command, "").await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), words(&report))
}

/// A proxy that refuses every connection for want of a credential. Returns its URL and the number of
/// requests so far.
async fn refusing_proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let response = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                proxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(response).await;
        }
    });
    (url, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_reached_is_named() {
    let world = World::new().await;
    let proxy = servers::unreachable().await;
    let (code, words) = check_behind(&world, &proxy).await;
    let host = proxy.trim_start_matches("http://");
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("proxy") && words.contains(host), "{words}");
    assert!(words.contains("HTTPS_PROXY"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_demands_a_credential_is_asked_once_and_named() {
    let world = World::new().await;
    let (proxy, requests) = refusing_proxy().await;
    let with_password = proxy.replace("http://", "http://me:hunter2@");
    let (code, words) = check_behind(&world, &with_password).await;
    assert_eq!(code, 1, "{words}");
    assert!(words.contains(proxy.trim_start_matches("http://")), "{words}");
    assert!(words.contains("407") && words.contains("HTTPS_PROXY"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");
    assert_eq!(requests.load(Ordering::SeqCst), 1, "{words}");
}
