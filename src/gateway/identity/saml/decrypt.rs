//! Opens encrypted assertions (XML Encryption 1.1): AES under RSA-OAEP, and nothing else.

use aws_lc_rs::{
    aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey},
    iv::FixedLength,
    rsa::{
        OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
        OaepAlgorithm,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use uppsala::NodeId;
use zeroize::Zeroizing;

use super::{keys::ServiceKey, signature::DSIG, xml::Tree};

pub(super) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// Copies of the content key looked at: one for each recipient.
const MAX_KEYS: usize = 8;
/// A block of AES, in bytes.
const BLOCK: usize = 16;
/// One sentence for everything that fails after the algorithms are known, so that nobody learns by asking.
const FAILED: &str =
    "the assertion cannot be decrypted; does the identity provider have this gateway's current metadata?";

enum Cipher {
    Gcm(&'static Algorithm, usize),
    Cbc(&'static aws_lc_rs::cipher::Algorithm, usize),
}

/// The text of an `EncryptedAssertion`. `vouched` says that a valid signature covers the ciphertext: without it a mode that
/// anybody can change undetected (CBC) is refused.
pub(super) fn open(tree: &Tree<'_>, node: NodeId, key: &ServiceKey, vouched: bool) -> Result<String, String> {
    let data = tree.need(node, XENC, "EncryptedData")?;
    let cipher = cipher(tree, data, vouched)?;
    let mut sealed = cipher_value(tree, data)?;
    // The key stands in the data's KeyInfo, or beside the data (SAML Core §2.3.4).
    let mut keys = tree.named(node, XENC, "EncryptedKey");
    if let Some(info) = tree.child(data, DSIG, "KeyInfo")? {
        keys.extend(tree.named(info, XENC, "EncryptedKey"));
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err("the encrypted assertion has no key, or too many".to_owned());
    }
    let mut unknown = None;
    for encrypted in keys {
        match content_key(tree, encrypted, key) {
            Ok(Some(content)) => {
                if let Some(plain) = cipher.open(&content, &mut sealed.clone()) {
                    sealed.fill(0);
                    return String::from_utf8(plain).map_err(|_| FAILED.to_owned());
                }
            }
            Ok(None) => {}
            Err(why) => unknown = Some(why),
        }
    }
    Err(unknown.unwrap_or_else(|| FAILED.to_owned()))
}

fn cipher(tree: &Tree<'_>, data: NodeId, vouched: bool) -> Result<Cipher, String> {
    let method = tree.need(data, XENC, "EncryptionMethod")?;
    let algorithm = tree.attribute(method, "Algorithm").unwrap_or_default();
    let cipher = match algorithm.strip_prefix(XENC11).or_else(|| algorithm.strip_prefix(XENC)) {
        Some("aes128-gcm") => Cipher::Gcm(&AES_128_GCM, 16),
        Some("aes256-gcm") => Cipher::Gcm(&AES_256_GCM, 32),
        Some("aes128-cbc") => Cipher::Cbc(&AES_128, 16),
        Some("aes256-cbc") => Cipher::Cbc(&AES_256, 32),
        _ => return Err(format!("its encryption algorithm is not accepted: {}", shown(algorithm))),
    };
    if matches!(cipher, Cipher::Cbc(..)) && !vouched {
        return Err(
            "its assertion is encrypted with AES-CBC and the response is not signed; let the identity provider sign responses, or encrypt with AES-GCM"
                .to_owned(),
        );
    }
    Ok(cipher)
}

impl Cipher {
    fn open(&self, key: &[u8], sealed: &mut [u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gcm(algorithm, length) if key.len() == *length => {
                let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN)?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
                key.open_in_place(nonce, Aad::empty(), body).ok().map(|plain| plain.to_vec())
            }
            Self::Cbc(algorithm, length) if key.len() == *length => {
                let (iv, body) = sealed.split_at_mut_checked(BLOCK)?;
                let iv: [u8; BLOCK] = (&*iv).try_into().ok()?;
                let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
                let context = DecryptionContext::Iv128(FixedLength::from(iv));
                let plain = key.decrypt(body, context).ok()?;
                // XML Encryption §5.2: the last byte counts the padding, whose other bytes say nothing.
                let padding = usize::from(*plain.last()?);
                let length = plain.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
                plain.get(..length).map(<[u8]>::to_vec)
            }
            _ => None,
        }
    }
}

/// The content key of an `EncryptedKey`; `None` when it is not for us, an error when its algorithm is not accepted.
fn content_key(
    tree: &Tree<'_>,
    node: NodeId,
    key: &ServiceKey,
) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let method = tree.need(node, XENC, "EncryptionMethod")?;
    let (algorithm, label) = transport(tree, method)?;
    let sealed = cipher_value(tree, node)?;
    let mut plain = Zeroizing::new(vec![0; key.opening().min_output_size()]);
    let length = match key.opening().decrypt(algorithm, &sealed, &mut plain, label.as_deref()) {
        Ok(content) => content.len(),
        Err(_) => return Ok(None),
    };
    plain.truncate(length);
    Ok(Some(plain))
}

/// RSA-OAEP as the method says it (XML Encryption §5.5.2), with its label.
fn transport(tree: &Tree<'_>, method: NodeId) -> Result<(&'static OaepAlgorithm, Option<Vec<u8>>), String> {
    let algorithm = tree.attribute(method, "Algorithm").unwrap_or_default();
    let ending = |namespace: &str, name: &str| -> Result<Option<String>, String> {
        let node = tree.child(method, namespace, name)?;
        let uri = node.and_then(|node| tree.attribute(node, "Algorithm"));
        Ok(uri.and_then(|uri| uri.rsplit_once('#')).map(|(_, ending)| ending.to_owned()))
    };
    let digest = ending(DSIG, "DigestMethod")?.unwrap_or_else(|| "sha1".to_owned());
    let mask = if algorithm.strip_prefix(XENC) == Some("rsa-oaep-mgf1p") {
        "mgf1sha1".to_owned()
    } else if algorithm.strip_prefix(XENC11) == Some("rsa-oaep") {
        ending(XENC11, "MGF")?.unwrap_or_else(|| "mgf1sha1".to_owned())
    } else {
        return Err(format!("its key transport algorithm is not accepted: {}", shown(algorithm)));
    };
    let oaep = match (digest.as_str(), mask.as_str()) {
        ("sha1", "mgf1sha1") => &OAEP_SHA1_MGF1SHA1,
        ("sha256", "mgf1sha256") => &OAEP_SHA256_MGF1SHA256,
        ("sha384", "mgf1sha384") => &OAEP_SHA384_MGF1SHA384,
        ("sha512", "mgf1sha512") => &OAEP_SHA512_MGF1SHA512,
        _ => {
            return Err(format!(
                "its key transport uses RSA-OAEP with {} and {}; both must be of one hash",
                shown(&digest),
                shown(&mask)
            ));
        }
    };
    let label = tree.child(method, XENC, "OAEPparams")?.map(|node| base64(tree, node)).transpose()?;
    Ok((oaep, label))
}

fn cipher_value(tree: &Tree<'_>, node: NodeId) -> Result<Vec<u8>, String> {
    let data = tree.need(node, XENC, "CipherData")?;
    base64(tree, tree.need(data, XENC, "CipherValue")?)
}

/// An element's base64, which may be wrapped into lines.
fn base64(tree: &Tree<'_>, node: NodeId) -> Result<Vec<u8>, String> {
    let text = tree.text(node).unwrap_or_default();
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).map_err(|_| "its encrypted assertion holds something else than base64".to_owned())
}

fn shown(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(100).collect()
}
