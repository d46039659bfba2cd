//! What an identity provider's metadata says (SAML Metadata §2), as far as we use it.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::STANDARD};
use uppsala::NodeId;
use url::Url;
use x509_parser::{prelude::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

use super::{
    signature::{self, DSIG},
    xml::{METADATA, Tree},
};
use crate::{clock, gateway::outbound::acceptable, tls};

const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(super) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(super) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
/// Signing keys looked at.
const MAX_KEYS: usize = 16;
/// The weakest RSA key believed, in bits.
const MIN_RSA: usize = 2048;
/// The longest entity identifier (SAML Core §8.3.6), in characters.
const MAX_ENTITY: usize = 1024;

/// An identity provider.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) entity_id: String,
    /// Keys that may sign answers: subjectPublicKeyInfo, DER. Their certificates' dates say nothing (SAML Metadata
    /// Interoperability Profile §2.6): what stands in the metadata is in force.
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) redirect: Option<Url>,
    pub(super) post: Option<Url>,
    /// `WantAuthnRequestsSigned`.
    pub(super) wants_signed: bool,
    pub(super) valid_until: Option<SystemTime>,
}

impl Metadata {
    /// Reads metadata of one identity provider. `certificate` is the PEM that must have signed it.
    pub(super) fn read(text: &str, certificate: Option<&str>) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tree = Tree::parse(text, &METADATA)?;
        if let Some(pem) = certificate {
            let keys = tls::parse_certificates(pem, "metadata_certificate").map_err(|e| e.to_string())?;
            let keys: Vec<_> = keys.iter().filter_map(|der| public_key(der)).collect();
            if signature::verify(&tree, &keys, &[tree.root])?.is_empty() {
                return Err("it is not signed, and `metadata_certificate` wants it signed".to_owned());
            }
        }
        let (entity, role) = provider(&tree)?;
        let entity_id = tree.attribute(entity, "entityID").unwrap_or_default().to_owned();
        if entity_id.is_empty() || entity_id.chars().count() > MAX_ENTITY {
            return Err("its entityID is missing or too long".to_owned());
        }
        let redirect = endpoint(&tree, role, REDIRECT)?;
        let post = endpoint(&tree, role, POST)?;
        if redirect.is_none() && post.is_none() {
            return Err("it has no SingleSignOnService for HTTP-Redirect or HTTP-POST".to_owned());
        }
        let until =
            [tree.root, entity, role].into_iter().filter_map(|node| tree.attribute(node, "validUntil"));
        let until = until.map(|time| instant(time).ok_or_else(|| "its validUntil is no time".to_owned()));
        Ok(Self {
            entity_id,
            keys: keys(&tree, role)?,
            redirect,
            post,
            wants_signed: matches!(tree.attribute(role, "WantAuthnRequestsSigned"), Some("true" | "1")),
            valid_until: until.collect::<Result<Vec<_>, _>>()?.into_iter().min(),
        })
    }
}

/// An xs:dateTime with its time zone (SAML Core §1.3.3 wants UTC).
pub(super) fn instant(text: &str) -> Option<SystemTime> {
    clock::parse_rfc3339(text.trim())
}

/// The one identity provider of a document, which may list others that are none.
fn provider(tree: &Tree<'_>) -> Result<(NodeId, NodeId), String> {
    let entities = if tree.is(tree.root, MD, "EntityDescriptor") {
        vec![tree.root]
    } else if tree.is(tree.root, MD, "EntitiesDescriptor") {
        tree.named(tree.root, MD, "EntityDescriptor")
    } else {
        return Err("it is no SAML metadata: its element is neither EntityDescriptor nor EntitiesDescriptor"
            .to_owned());
    };
    let mut providers = Vec::new();
    for entity in entities {
        if let Some(role) = tree.child(entity, MD, "IDPSSODescriptor")? {
            providers.push((entity, role));
        }
    }
    match providers.as_slice() {
        [one] => Ok(*one),
        [] => Err("it describes no identity provider (IDPSSODescriptor)".to_owned()),
        _ => Err("it describes several identity providers; name the metadata of one".to_owned()),
    }
}

fn endpoint(tree: &Tree<'_>, role: NodeId, binding: &str) -> Result<Option<Url>, String> {
    let mut services = tree.named(role, MD, "SingleSignOnService").into_iter();
    let Some(service) = services.find(|node| tree.attribute(*node, "Binding") == Some(binding)) else {
        return Ok(None);
    };
    let location = tree.attribute(service, "Location").unwrap_or_default();
    match Url::parse(location.trim()) {
        Ok(url) if acceptable(&url) => Ok(Some(url)),
        Ok(url) => Err(format!("it names {url}, which is not https")),
        Err(error) => Err(format!("a SingleSignOnService has no usable Location: {error}")),
    }
}

fn keys(tree: &Tree<'_>, role: NodeId) -> Result<Vec<Vec<u8>>, String> {
    let mut keys = Vec::new();
    for descriptor in tree.named(role, MD, "KeyDescriptor") {
        if !matches!(tree.attribute(descriptor, "use"), None | Some("signing")) {
            continue;
        }
        let info = tree.need(descriptor, DSIG, "KeyInfo")?;
        for data in tree.named(info, DSIG, "X509Data") {
            for certificate in tree.named(data, DSIG, "X509Certificate") {
                let text = tree.text(certificate).unwrap_or_default();
                let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                let der = STANDARD.decode(packed).map_err(|_| "a certificate in it is no base64")?;
                keys.extend(public_key(&der).filter(|key| !keys.contains(key)));
            }
        }
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(
            "it has no usable signing key (RSA of 2048 bits or more, or P-256, P-384, P-521), or too many"
                .to_owned(),
        );
    }
    Ok(keys)
}

/// The public key of a certificate, if it is strong enough.
fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let raw = certificate.public_key().raw.to_vec();
    let (_, key) = SubjectPublicKeyInfo::from_der(&raw).ok()?;
    let strong = match key.parsed().ok()? {
        PublicKey::RSA(rsa) => rsa.key_size() >= MIN_RSA,
        PublicKey::EC(_) => true,
        _ => false,
    };
    strong.then_some(raw)
}
