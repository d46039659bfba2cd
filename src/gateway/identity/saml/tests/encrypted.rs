//! Assertions encrypted for us, and requests and metadata that we make.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
    rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::corpus::{self, Answer, REQUEST, Service, good};
use crate::gateway::identity::saml::{
    Start,
    metadata::Metadata,
    signature,
    xml::{METADATA, Tree},
};

const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

fn gcm(plain: &str) -> (&'static str, Vec<u8>, Vec<u8>) {
    let key = vec![7; 32];
    let mut body = plain.as_bytes().to_vec();
    let nonce = RandomizedNonceKey::new(&AES_256_GCM, &key)
        .unwrap()
        .seal_in_place_append_tag(Aad::empty(), &mut body)
        .unwrap();
    ("http://www.w3.org/2009/xmlenc11#aes256-gcm", key, [nonce.as_ref().as_slice(), body.as_slice()].concat())
}

fn cbc(plain: &str) -> (&'static str, Vec<u8>, Vec<u8>) {
    let key = vec![7; 16];
    let mut body = plain.as_bytes().to_vec();
    let padding = 16 - body.len() % 16;
    body.extend(vec![0; padding - 1]);
    body.push(u8::try_from(padding).unwrap());
    let iv = [9; 16];
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    let unbound = UnboundCipherKey::new(&AES_128, &key).unwrap();
    EncryptingKey::cbc(unbound).unwrap().less_safe_encrypt(&mut body, context).unwrap();
    ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", key, [iv.as_slice(), body.as_slice()].concat())
}

/// An `EncryptedAssertion` for the certificate's key.
fn sealed(certificate: &str, (algorithm, key, body): (&str, Vec<u8>, Vec<u8>)) -> String {
    let der = STANDARD.decode(certificate).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let public = PublicEncryptingKey::from_der(parsed.public_key().raw).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None).unwrap();
    format!(
        "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"><xenc:EncryptedData \
         xmlns:xenc=\"{XENC}\"><xenc:EncryptionMethod Algorithm=\"{algorithm}\"></xenc:EncryptionMethod>\
         <ds:KeyInfo xmlns:ds=\"{}\"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm=\"{XENC}rsa-oaep-mgf1p\">\
         </xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData>\
         </xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData>\
         </xenc:EncryptedData></saml:EncryptedAssertion>",
        signature::DSIG,
        STANDARD.encode(wrapped),
        STANDARD.encode(body),
    )
}

#[tokio::test]
async fn encrypted_assertions_are_opened_and_held_to_the_same_rules() {
    let service = Service::open(|_| ());
    let (plain, bare) = (good(), Answer { sign_assertion: false, ..good() });
    let response = Answer { sign_response: true, ..good() };
    for (outer, content, fits, why) in [
        (&plain, sealed(&service.certificate, gcm(&plain.assertion())), true, ""),
        (&response, sealed(&service.certificate, gcm(&bare.assertion())), true, ""),
        (&response, sealed(&service.certificate, cbc(&bare.assertion())), true, ""),
        (&plain, sealed(&service.certificate, gcm(&bare.assertion())), false, "signed"),
        (&plain, sealed(&service.certificate, cbc(&plain.assertion())), false, "AES-CBC"),
        (&plain, sealed(&service.certificate, gcm("<a/>")), false, "no single assertion"),
        (&plain, sealed(&service.certificate, gcm("<!DOCTYPE a><a/>")), false, "document type"),
        (
            &plain,
            sealed(&service.certificate, gcm(&plain.assertion().replace("ml-users", "hoop-admins"))),
            false,
            "changed",
        ),
        (
            &plain,
            sealed(&service.certificate, gcm(&plain.assertion())).replace("rsa-oaep-mgf1p", "rsa-1_5"),
            false,
            "not accepted",
        ),
        (
            &plain,
            sealed(&service.certificate, gcm(&plain.assertion())).replace("aes256-gcm", "tripledes-cbc"),
            false,
            "not accepted",
        ),
        (
            &plain,
            sealed(&service.certificate, gcm(&plain.assertion())).replace("aes256-gcm", "aes128-gcm"),
            false,
            "cannot be decrypted",
        ),
    ] {
        let xml = outer.around(&content);
        match service.receive(&xml).await {
            Ok(received) => {
                assert!(fits, "{why}");
                assert_eq!(received.claimed.groups, ["ml-users", "fraud-readers"]);
            }
            Err(error) => assert!(!fits && error.to_string().contains(why), "{why}: {error}"),
        }
    }
    let other = Service::open(|_| ()).certificate;
    assert_eq!(other, service.certificate, "one key for all providers of a gateway");
}

#[tokio::test]
async fn requests_are_signed_as_the_bindings_say() {
    let service = Service::open(|config| config.sign_requests = Some(true));
    let Start::Redirect(url) = service.party.begin(REQUEST, "relay").await.unwrap() else {
        panic!("a redirect")
    };
    let query = url.query().unwrap();
    assert!(query.starts_with("x=1&SAMLRequest="), "{query}");
    let signed = query.strip_prefix("x=1&").unwrap().split("&Signature=").next().unwrap();
    assert!(signed.contains("&RelayState=relay&SigAlg="), "{signed}");
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let der = STANDARD.decode(&service.certificate).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        &certificate.public_key().subject_public_key.data,
    );
    key.verify(signed.as_bytes(), &STANDARD.decode(value("Signature")).unwrap()).unwrap();
    // A stored block: one byte, the length twice, and the request as it is.
    let deflated = STANDARD.decode(value("SAMLRequest")).unwrap();
    let xml = std::str::from_utf8(&deflated[5..]).unwrap();
    assert!(xml.contains("ID=\"_request\"") && xml.contains("https://idp.example.test/sso?x=1"), "{xml}");

    let unsigned = Service::open(|_| ());
    let Start::Redirect(url) = unsigned.party.begin(REQUEST, "relay").await.unwrap() else {
        panic!("a redirect")
    };
    assert!(!url.query().unwrap().contains("Signature"));

    let posting = Service::open(|config| {
        config.sign_requests = Some(true);
        let path = config.metadata.to_string();
        let metadata = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, metadata.replace("bindings:HTTP-Redirect", "bindings:HTTP-POST")).unwrap();
    });
    let Start::Form { request, .. } = posting.party.begin(REQUEST, "relay").await.unwrap() else {
        panic!("a form")
    };
    let xml = String::from_utf8(STANDARD.decode(request).unwrap()).unwrap();
    let tree = Tree::parse(&xml, &METADATA).unwrap();
    let keys = [certificate.public_key().raw.to_vec()];
    assert_eq!(signature::verify(&tree, &keys, &[tree.root]).unwrap(), [tree.root]);
}

#[test]
fn our_own_metadata_can_be_read() {
    let service = Service::open(|_| ());
    let xml = service.party.descriptor();
    let tree = Tree::parse(&xml, &METADATA).unwrap();
    assert_eq!(tree.attribute(tree.root, "entityID"), Some(corpus::ENTITY));
    assert_eq!(xml.matches(&service.certificate).count(), 2);
    assert!(!xml.contains("PRIVATE"));
}

#[test]
fn metadata_is_of_one_provider_with_strong_keys_and_safe_addresses() {
    let xml = corpus::metadata();
    assert!(Metadata::read(&xml, None).is_ok());
    let certificate = xml.split("<X509Certificate>").nth(1).unwrap().split('<').next().unwrap();
    let pem = format!("-----BEGIN CERTIFICATE-----{certificate}-----END CERTIFICATE-----\n");
    assert!(Metadata::read(&xml, Some(&pem)).unwrap_err().contains("not signed"));
    for (from, to) in [
        ("IDPSSODescriptor", "SPSSODescriptor"),
        ("https://idp.example.test/sso", "http://idp.example.test/sso"),
        ("https://idp.example.test/sso", "javascript:alert(1)"),
        ("HTTP-Redirect", "SOAP"),
        ("<KeyDescriptor>", "<KeyDescriptor use=\"encryption\">"),
        ("entityID=", "other="),
        ("<EntityDescriptor", "<!DOCTYPE a><EntityDescriptor"),
        (certificate, "AAAA"),
    ] {
        let changed = xml.replace(from, to);
        assert_ne!(changed, xml);
        assert!(Metadata::read(&changed, None).is_err(), "{to}");
    }
}
