//! What stands in a certificate that is not to be judged.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// The certificate's public key, if it is a certificate, of whatever X.509 version. rustls's own reader takes version 3
/// only, and certificates that were made by hand are often of version 1.
pub(super) fn subject_public_key_info(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let info = Der::read(subject(certificate)?.behind)?.expect(SEQUENCE)?;
    Some(info.whole.to_vec().into())
}

/// The name of the certificate's subject; nothing if it has none.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let mut sets = subject(certificate)?.content;
    let mut name = None;
    // The last one counts, as it does for nsqd.
    while let Some(set) = Der::read(sets) {
        sets = set.behind;
        let mut attributes = set.content;
        while let Some(attribute) = Der::read(attributes) {
            attributes = attribute.behind;
            let kind = Der::read(attribute.content)?;
            let value = Der::read(kind.behind)?;
            if kind.whole == COMMON_NAME {
                name = Some(String::from_utf8_lossy(value.content).into_owned());
            }
        }
    }
    name
}

fn subject<'a>(certificate: &'a CertificateDer<'_>) -> Option<Der<'a>> {
    let certificate = Der::read(certificate)?.expect(SEQUENCE)?;
    let fields = Der::read(certificate.content)?.expect(SEQUENCE)?;
    let mut next = Der::read(fields.content)?;
    if next.tag == VERSION {
        next = Der::read(next.behind)?;
    }
    // The serial number is followed by the signature's algorithm, the issuer, the dates and the subject.
    next.expect(INTEGER)?;
    for _ in 0..4 {
        next = Der::read(next.behind)?.expect(SEQUENCE)?;
    }
    Some(next)
}

/// What a `SubjectPublicKeyInfo` consists of: the content of its algorithm, and the key.
pub(super) fn algorithm_and_key<'a>(info: &'a SubjectPublicKeyInfoDer<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let info = Der::read(info)?.expect(SEQUENCE)?;
    let algorithm = Der::read(info.content)?.expect(SEQUENCE)?;
    let key = Der::read(algorithm.behind)?.expect(BIT_STRING)?;
    // Keys have whole bytes: none of the last one's bits is unused.
    let (&0, key) = key.content.split_first()? else { return None };
    Some((algorithm.content, key))
}

/// One value, by its tag and length.
#[derive(Clone, Copy)]
struct Der<'a> {
    tag: u8,
    content: &'a [u8],
    /// The tag and length too.
    whole: &'a [u8],
    behind: &'a [u8],
}

impl<'a> Der<'a> {
    fn read(input: &'a [u8]) -> Option<Self> {
        let [tag, first, rest @ ..] = input else { return None };
        let (len, rest) = match *first {
            short @ ..=0x7f => (usize::from(short), rest),
            0x81 => {
                let (&len, rest) = rest.split_first()?;
                (usize::from(len), rest)
            }
            0x82 => {
                let (&len, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(len)), rest)
            }
            // No certificate has 64 KiB.
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(len)?;
        Some(Self { tag: *tag, content, whole: &input[..input.len() - behind.len()], behind })
    }

    fn expect(self, tag: u8) -> Option<Self> {
        (self.tag == tag).then_some(self)
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// The first field, of certificates of version 2 and 3.
const VERSION: u8 = 0xa0;
/// The object identifier 2.5.4.3.
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;
    use rustls::server::ParsedCertificate;

    use super::*;

    fn certificate(pem: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem).unwrap()
    }

    #[test]
    fn the_key_of_a_certificate_is_the_one_that_rustls_finds() {
        let certificate = certificate(include_bytes!("../../tests/certs/ec.pem"));
        let info = subject_public_key_info(&certificate).unwrap();
        assert_eq!(info, ParsedCertificate::try_from(&certificate).unwrap().subject_public_key_info());
        let (algorithm, key) = algorithm_and_key(&info).unwrap();
        assert_eq!(algorithm, &*rustls::pki_types::alg_id::ECDSA_P256);
        assert_eq!((key.len(), key[0]), (65, 4), "an uncompressed point");
    }

    #[test]
    fn an_old_certificate_has_a_key_too() {
        let certificate = certificate(include_bytes!("../../tests/certs/old.pem"));
        assert!(ParsedCertificate::try_from(&certificate).is_err());
        let info = subject_public_key_info(&certificate).unwrap();
        assert_eq!(algorithm_and_key(&info).unwrap().0, &*rustls::pki_types::alg_id::RSA_ENCRYPTION);
    }

    #[test]
    fn the_last_common_name_counts() {
        let name = |pem| common_name(&certificate(pem));
        assert_eq!(name(include_bytes!("../../tests/certs/ec.pem")).unwrap(), "nsqd.new");
        assert_eq!(name(include_bytes!("../../tests/certs/old.pem")).unwrap(), "nsqd.old");
        let mut params = rcgen::CertificateParams::default();
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = |params: &rcgen::CertificateParams| common_name(params.self_signed(&key).unwrap().der());
        params.distinguished_name = rcgen::DistinguishedName::new();
        assert_eq!(signed(&params), None);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "o");
        params.distinguished_name.push(rcgen::DnType::CommonName, "secönd");
        params.distinguished_name.push(rcgen::DnType::CountryName, "DE");
        assert_eq!(signed(&params).unwrap(), "secönd");
    }

    #[test]
    fn what_is_cut_off_has_none() {
        let whole = certificate(include_bytes!("../../tests/certs/old.pem"));
        for len in 0..whole.len() {
            assert!(subject_public_key_info(&whole[..len].into()).is_none(), "{len} bytes");
        }
        let info = subject_public_key_info(&whole).unwrap();
        for len in 0..info.len() {
            assert!(algorithm_and_key(&info[..len].into()).is_none(), "{len} bytes");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_client_sends_is_read_or_not(at in 0..700_usize, to: u8, garbage: Vec<u8>) {
            let mut damaged = certificate(include_bytes!("../../tests/certs/old.pem")).to_vec();
            let at = at % damaged.len();
            damaged[at] = to;
            for input in [damaged, garbage] {
                let input = input.into();
                let _ = common_name(&input);
                if let Some(info) = subject_public_key_info(&input) {
                    let _ = algorithm_and_key(&info);
                }
            }
        }
    }
}
