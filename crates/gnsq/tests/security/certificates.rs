//! Certificates of all kinds, and files that hold them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A certificate and its key, also as files.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
    files: TempDir,
}

/// One that signs others.
pub(crate) struct Authority {
    pub(crate) certificate: String,
    key: KeyPair,
    params: CertificateParams,
    files: TempDir,
}

impl Identity {
    pub(crate) fn new(certificate: String, key: String) -> Self {
        let files = tempfile::tempdir().unwrap();
        let identity = Self { certificate, key, files };
        std::fs::write(identity.certificate_path(), &identity.certificate).unwrap();
        std::fs::write(identity.key_path(), &identity.key).unwrap();
        identity
    }

    /// One that signed itself, and says that it is an authority, as `openssl req -x509` makes it.
    pub(crate) fn self_signed(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self::new(params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    pub(crate) fn certificate_path(&self) -> PathBuf {
        self.file("certificate.pem")
    }

    pub(crate) fn key_path(&self) -> PathBuf {
        self.file("key.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::join(self.files.path(), name)
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named(&format!("authority-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let authority = Self { certificate, key, params, files: tempfile::tempdir().unwrap() };
        std::fs::write(authority.certificate_path(), &authority.certificate).unwrap();
        authority
    }

    pub(crate) fn certificate_path(&self) -> PathBuf {
        Path::join(self.files.path(), "authority.pem")
    }

    /// A server's certificate for a name or IP address.
    pub(crate) fn server(&self, name: &str) -> Identity {
        self.sign(&named(name))
    }

    /// One that has been over since 2020.
    pub(crate) fn expired_server(&self, name: &str) -> Identity {
        let mut params = named(name);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(&params)
    }

    /// One whose time begins in 2200.
    pub(crate) fn future_server(&self, name: &str) -> Identity {
        let mut params = named(name);
        params.not_before = rcgen::date_time_ymd(2200, 1, 1);
        self.sign(&params)
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(self.params.clone(), &self.key);
        Identity::new(params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Authorities have different names, as different ones have.
static NEXT: AtomicU32 = AtomicU32::new(1);
