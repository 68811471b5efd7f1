//! Certificates made for one test.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A CA, a server's certificate of its, and two clients': one of its, and one that signed itself.
pub(crate) struct Certificates {
    directory: TempDir,
    pub(crate) client: Certificate,
    pub(crate) stranger: Certificate,
}

/// A certificate and its key, as DER.
pub(crate) struct Certificate {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = params("the CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);

        let server_key = KeyPair::generate().unwrap();
        let server = params("the server").signed_by(&server_key, &issuer).unwrap();
        let client_key = KeyPair::generate().unwrap();
        let client = params("the client").signed_by(&client_key, &issuer).unwrap();
        let stranger_key = KeyPair::generate().unwrap();
        let stranger = params("a stranger").self_signed(&stranger_key).unwrap();

        let directory = TempDir::new().unwrap();
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
        write("ca.pem", ca_certificate.pem());
        write("server.pem", server.pem());
        write("server.key", server_key.serialize_pem());
        Self {
            directory,
            client: Certificate { chain: client.der().to_vec(), key: client_key.serialize_der() },
            stranger: Certificate { chain: stranger.der().to_vec(), key: stranger_key.serialize_der() },
        }
    }

    /// The flags that give nsqd its certificate, and these besides.
    pub(crate) fn flags(&self, more: &[&str]) -> Vec<String> {
        let mut flags =
            vec![format!("--tls-cert={}", self.file("server.pem")), format!("--tls-key={}", self.file("server.key"))];
        flags.extend(more.iter().map(|&flag| flag.to_owned()));
        flags
    }

    /// The flag that names the CA.
    pub(crate) fn ca_flag(&self) -> String {
        format!("--tls-root-ca-file={}", self.file("ca.pem"))
    }

    fn file(&self, name: &str) -> String {
        let path: PathBuf = Path::join(self.directory.path(), name);
        path.to_str().unwrap().to_owned()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
