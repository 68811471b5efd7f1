//! A certificate for 127.0.0.1 that vouches for itself.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use rcgen::{CertificateParams, KeyPair};

/// Writes `certificate.pem` and `key.pem` into the directory, which is made.
pub(crate) fn write(directory: &Path) -> ExitCode {
    match try_write(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::usage(&format!("{}: {error}", directory.display())),
    }
}

fn try_write(directory: &Path) -> io::Result<()> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("key.pem"), key.serialize_pem())?;
    std::fs::write(directory.join("certificate.pem"), certificate.pem())
}
