//! One connection, in the clear or under TLS, and the ways to end it.

use crate::authority::Authority;
use crate::listener::reset;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// What TLS needs.
pub(crate) struct Tls(Arc<ServerConfig>);

impl Tls {
    pub(crate) fn new(authority: &Authority) -> Self {
        let certificate = CertificateDer::from_pem_slice(&authority.pem("site.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(&authority.pem("site.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("the provider's own versions").with_no_client_auth();
        Self(Arc::new(config.with_single_cert(vec![certificate], key).expect("they belong together")))
    }
}

/// One connection.
pub(crate) struct Line {
    tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl Line {
    pub(crate) fn new(tcp: TcpStream, tls: Option<&Tls>) -> Self {
        let tls = tls.map(|tls| Box::new(ServerConnection::new(Arc::clone(&tls.0)).expect("a right config")));
        Self { tcp, tls }
    }

    /// Says that nothing more comes.
    pub(crate) fn part_politely(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            drop(tls.complete_io(&mut self.tcp));
        }
        drop(self.tcp.shutdown(std::net::Shutdown::Write));
    }

    /// Makes its end a reset.
    pub(crate) fn reset(&self) {
        reset(&self.tcp);
    }

    /// Waits; `None` as soon as the other side sends something or is gone.
    pub(crate) fn wait(&self, time: Duration) -> Option<()> {
        let before = self.tcp.read_timeout().ok()?;
        self.tcp.set_read_timeout(Some(time)).ok()?;
        let heard = self.tcp.peek(&mut [0]);
        self.tcp.set_read_timeout(before).ok()?;
        heard
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
            .then_some(())
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).read(buffer),
            None => self.tcp.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).write(bytes),
            None => self.tcp.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).flush(),
            None => self.tcp.flush(),
        }
    }
}
