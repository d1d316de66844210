//! The certificate of the house, for every listener.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Certificate and key, read and found to fit.
#[derive(Clone)]
pub struct Tls {
    config: ServerConfig,
    pem: (Vec<u8>, Vec<u8>),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tls(..)")
    }
}

impl Tls {
    /// Reads a chain of certificates and the key of its first, both PEM.
    ///
    /// # Errors
    /// Where a file cannot be read or they do not fit. Nothing of the key is told.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, String> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
        };
        let pem = (read(certificate)?, read(key)?);
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem.0).collect();
        let chain =
            chain.map_err(|error| format!("`{}` is no certificate: {error}", certificate.display()))?;
        if chain.is_empty() {
            return Err(format!("`{}` holds no certificate", certificate.display()));
        }
        let private = PrivateKeyDer::from_pem_slice(&pem.1)
            .map_err(|_| format!("`{}` holds no private key in PEM", key.display()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| {
                format!("`{}` and `{}` do not fit together: {error}", certificate.display(), key.display())
            })?;
        Ok(Self { config, pem })
    }

    /// Certificate and key as they were read, for a library that reads them itself.
    pub fn pem(&self) -> (&[u8], &[u8]) {
        (&self.pem.0, &self.pem.1)
    }

    /// Takes connections of clients that speak one of these protocols, or do not say.
    pub fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
