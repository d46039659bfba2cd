//! Certificate signing requests from laptops: bounded, the key proven and strong enough, everything else ignored.

use rcgen::SubjectPublicKeyInfo;
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{
    certification_request::X509CertificationRequest, prelude::FromDer, public_key::PublicKey,
    x509::SubjectPublicKeyInfo as Spki,
};

use super::CertsError;

/// The longest request read, in bytes of PEM: twice what an RSA-8192 key needs.
pub(super) const MAX_REQUEST: usize = 8 * 1024;

/// Reads a PKCS #10 request (RFC 2986), checks that its sender holds the private key, and returns the public one.
pub(super) fn proven_key(csr_pem: &str) -> Result<SubjectPublicKeyInfo, CertsError> {
    if csr_pem.len() > MAX_REQUEST {
        return Err(CertsError::Request(format!("it is longer than {MAX_REQUEST} bytes")));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes())
        .map_err(|_| CertsError::Request("it is not PEM text of a PKCS #10 request".to_owned()))?;
    let (rest, request) = X509CertificationRequest::from_der(&der)
        .map_err(|_| CertsError::Request("it is not a PKCS #10 request".to_owned()))?;
    if !rest.is_empty() {
        return Err(CertsError::Request("bytes follow its end".to_owned()));
    }
    let key = &request.certification_request_info.subject_pki;
    check_strength(key)?;
    request.verify_signature().map_err(|_| {
        CertsError::Request("its signature does not prove possession of the private key".to_owned())
    })?;
    SubjectPublicKeyInfo::from_der(key.raw)
        .map_err(|_| CertsError::Request("its key is of an unknown kind".to_owned()))
}

fn check_strength(key: &Spki<'_>) -> Result<(), CertsError> {
    const ED25519: &str = "1.3.101.112";
    const P256: &str = "1.2.840.10045.3.1.7";
    const P384: &str = "1.3.132.0.34";
    let accepted = match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => (2048..=8192).contains(&rsa.key_size()),
        Ok(PublicKey::EC(_)) => key
            .algorithm
            .parameters
            .as_ref()
            .and_then(|curve| curve.as_oid().ok())
            .is_some_and(|curve| [P256, P384].contains(&curve.to_id_string().as_str())),
        Ok(_) => key.algorithm.algorithm.to_id_string() == ED25519,
        Err(_) => false,
    };
    if accepted {
        return Ok(());
    }
    Err(CertsError::Request(
        "its key is none of P-256, P-384, Ed25519 and RSA of 2048 to 8192 bits".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn request(key: &KeyPair) -> String {
        CertificateParams::new(vec!["ignored.example.test".to_owned()])
            .unwrap()
            .serialize_request(key)
            .unwrap()
            .pem()
            .unwrap()
    }

    #[test]
    fn strong_keys_are_taken() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            proven_key(&request(&KeyPair::generate_for(algorithm).unwrap())).unwrap();
        }
        let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        proven_key(&request(&rsa)).unwrap();
    }

    #[test]
    fn a_curve_outside_the_list_is_refused() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA256).unwrap();
        assert!(proven_key(&request(&key)).is_err());
    }

    #[test]
    fn a_key_that_is_not_proven_is_refused() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let pem = request(&KeyPair::generate().unwrap());
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let mut der = STANDARD.decode(body).unwrap();
        let last = der.len() - 1;
        der[last] ^= 1;
        let forged = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            STANDARD.encode(der)
        );
        let error = proven_key(&forged).unwrap_err();
        assert!(error.to_string().contains("possession") || error.to_string().contains("PKCS"), "{error}");
    }

    #[test]
    fn garbage_and_oversized_requests_are_refused() {
        let good = request(&KeyPair::generate().unwrap());
        for bad in ["", "hello", &good.replace("CERTIFICATE REQUEST", "CERTIFICATE"), &good[..good.len() / 2]]
        {
            assert!(proven_key(bad).is_err());
        }
        let padded = format!("{good}{}", "\n".repeat(MAX_REQUEST));
        assert!(proven_key(&padded).unwrap_err().to_string().contains("longer than"));
    }
}
