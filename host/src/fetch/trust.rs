//! Whom TLS trusts: the system's certificate authorities, and others that are named.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// The authorities that the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded).
///
/// # Errors
/// There are none.
pub fn system() -> io::Result<Arc<ClientConfig>> {
    config(system_roots()?)
}

/// Those, and the ones in a PEM file.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn system_and(file: &Path) -> io::Result<Arc<ClientConfig>> {
    let mut roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
    let wrong = |why: String| io::Error::other(format!("{}: {why}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
    let mut count = 0_usize;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        count = count.saturating_add(1);
    }
    if count == 0 { Err(wrong("no certificate in it".to_owned())) } else { config(roots) }
}

/// No authority at all: for plain http on this machine.
#[must_use]
pub fn nobody() -> RootCertStore {
    RootCertStore::empty()
}

/// These authorities only.
///
/// # Errors
/// None in practice: the provider supports both versions of TLS.
pub fn config(roots: RootCertStore) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions);
    let mut config = builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn system_roots() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let help = "this system trusts no certificate authority: install ca-certificates, or set SSL_CERT_FILE";
        return Err(io::Error::other(help));
    }
    Ok(roots)
}
