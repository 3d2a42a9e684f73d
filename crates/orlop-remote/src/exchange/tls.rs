//! What TLS with a site needs, read from PEM.
//!
//! Invariant: a certificate is not looked at only where the port says so for this one site. One that is itself among the
//! authorities needs nobody else to vouch for it, as for tools in Go.

use crate::error::Error;
use orlop_spec::network::{Check, Tls};
use orlop_spec::wire::Site;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;

/// Prepares TLS with a site.
pub(crate) fn config(site: &Site, tls: &Tls) -> Result<Arc<ClientConfig>, Error> {
    let bad = |what| move |source| Error::BadTrust { site: site.clone(), what, source };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(other)
        .map_err(bad("the choice of protocols"))?;
    let takes = match tls.check {
        Check::None => Ok(Takes::Anyone),
        Check::Full => authorities(&tls.roots).and_then(|all| Takes::by(all, &provider)),
    };
    let takes = takes.map_err(bad("a certificate of an authority"))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Judge { provider, takes }));
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificates, key)) => {
            let chain = certificates_of(certificates).map_err(bad("the client certificate"))?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(other).map_err(bad("the client key"))?;
            builder.with_client_auth_cert(chain, key).map_err(other).map_err(bad("the client certificate"))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The site's name, as its certificate must bear it.
pub(crate) fn name(site: &Site) -> Result<ServerName<'static>, Error> {
    let host = site.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let bad = |error| Error::Untrusted { site: site.clone(), source: other(error) };
    ServerName::try_from(host).map_err(bad)
}

/// What is to blame when TLS fails. A server that does not like our certificate says so after the handshake only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// One side does not take the other for who it should be.
    Distrust,
    /// The other side does not speak TLS at all.
    Clear,
    /// It broke.
    Connection,
}

pub(crate) fn blame(error: &io::Error) -> Blame {
    use rustls::AlertDescription::InternalError;
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, NoCertificatesPresented};
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(AlertReceived(InternalError)) => Blame::Connection,
        Some(InvalidCertificate(_) | NoCertificatesPresented | AlertReceived(_)) => Blame::Distrust,
        Some(InvalidMessage(_)) => Blame::Clear,
        _ => Blame::Connection,
    }
}

/// A bundle of a system may hold what we cannot read; it may not hold that alone.
fn authorities(bundles: &[Vec<u8>]) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut all = Vec::new();
    for bundle in bundles {
        let mut readable = certificates_of(bundle)?;
        readable.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
        if readable.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no certificate in it can be read"));
        }
        all.append(&mut readable);
    }
    Ok(all)
}

fn certificates_of(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(other)
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

/// Decides who is taken for a site. Signatures are checked whoever it is, so that the key is at least the certificate's.
#[derive(Debug)]
struct Judge {
    provider: Arc<CryptoProvider>,
    takes: Takes,
}

#[derive(Debug)]
enum Takes {
    /// Any certificate: the user said so.
    Anyone,
    /// What an authority vouches for; and an authority's own certificate, which `openssl req -x509` makes for a site
    /// that has no other.
    Vouched { usual: Arc<WebPkiServerVerifier>, authorities: Vec<CertificateDer<'static>> },
    /// None: there is no authority.
    Nobody,
}

impl Takes {
    fn by(authorities: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> io::Result<Self> {
        if authorities.is_empty() {
            return Ok(Self::Nobody);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        Ok(Self::Vouched { usual: usual.map_err(other)?, authorities })
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{Other, UnknownIssuer};
        use rustls::Error::InvalidCertificate;
        let (usual, authorities) = match &self.takes {
            Takes::Anyone => return Ok(ServerCertVerified::assertion()),
            Takes::Nobody => return Err(InvalidCertificate(UnknownIssuer)),
            Takes::Vouched { usual, authorities } => (usual, authorities),
        };
        match usual.verify_server_cert(certificate, chain, name, ocsp, now) {
            // That it is an authority's is said after its times were looked at, and before its names are.
            Err(InvalidCertificate(Other(_))) if authorities.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
