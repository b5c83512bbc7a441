//! TLS for the fakes, with a new certificate authority for each run.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::protocol::Protocol;

/// The names of the fakes. The last one does not resolve on this machine: only a proxy finds it.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "fake.test"];

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A certificate for loopback, and the authority that signed it.
#[derive(Clone, Debug)]
pub struct Encryption {
    authority: String,
    server: Arc<ServerConfig>,
}

impl Encryption {
    /// Creates a new authority and a certificate signed by it.
    ///
    /// # Errors
    ///
    /// When the TLS library cannot create keys.
    pub fn generate() -> Result<Self, BoxError> {
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL treats a certificate that is named like its issuer as self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority of the fakes");
        let authority = rcgen::CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let (certificate, key) = signed(&authority)?;
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(Self { authority: authority.pem(), server: Arc::new(server) })
    }

    /// Returns the authority's certificate, for clients to trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// Encrypts what `listener` accepts.
    pub(crate) fn listen(&self, listener: TcpListener, protocol: Protocol) -> EncryptedListener {
        let mut config = ServerConfig::clone(&self.server);
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        let address = listener.local_addr();
        let (sender, accepted) = mpsc::channel(16);
        tokio::spawn(shake_hands(listener, TlsAcceptor::from(Arc::new(config)), sender));
        EncryptedListener { accepted, address }
    }
}

fn signed(
    authority: &Issuer<'_, KeyPair>,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), BoxError> {
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&key, authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    Ok((certificate.der().clone(), key))
}

type Accepted = (TlsStream<TcpStream>, SocketAddr);

/// Does all handshakes concurrently, so that a stalled one does not delay others. Returns when the
/// receiver is dropped.
async fn shake_hands(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<Accepted>,
) {
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = accepted.closed() => return,
        };
        let Ok((stream, peer)) = connection else { continue };
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            // A client that does not trust the certificate disconnects here.
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = accepted.send((stream, peer)).await;
            }
        });
    }
}

/// A listener of connections whose handshake is done.
#[derive(Debug)]
pub(crate) struct EncryptedListener {
    accepted: mpsc::Receiver<Accepted>,
    address: std::io::Result<SocketAddr>,
}

impl Listener for EncryptedListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The runtime is ending.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(error.kind().into()),
        }
    }
}
