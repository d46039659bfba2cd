//! XML signatures: made for our requests, and verified in answers so that what was signed is what is read.

use std::collections::HashSet;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use bergshamra::{DsigContext, KeysManager, VerifyResult};
use uppsala::NodeId;

use super::{keys::ServiceKey, xml::Tree};

pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// Signature algorithms believed: SHA-1, MD5, HMAC and DSA are not among them.
const METHODS: [&str; 6] = [
    RSA_SHA256,
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
];
/// Digest algorithms believed.
const DIGESTS: [&str; 3] =
    [SHA256, "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512"];

/// Verifies every signature of a document with `keys` (subjectPublicKeyInfo, DER; nothing else is trusted) and returns
/// the nodes they cover. Each must be enveloped in one of `places`, cover exactly it, and be valid: a document with a
/// signature anywhere else, or of any other shape, is refused as a whole.
pub(super) fn verify(tree: &Tree<'_>, keys: &[Vec<u8>], places: &[NodeId]) -> Result<Vec<NodeId>, String> {
    let signatures = tree.everywhere(DSIG, "Signature");
    if signatures.is_empty() {
        return Ok(Vec::new());
    }
    let mut covered = HashSet::new();
    for signature in &signatures {
        let signed = tree.document.parent(*signature).filter(|parent| places.contains(parent));
        let signed = signed.ok_or("it has a signature where none belongs")?;
        shape(tree, *signature, signed)?;
        if !covered.insert(signed) {
            return Err("it has two signatures of one element".to_owned());
        }
    }
    let mut manager = KeysManager::new();
    manager.add_keys(keys.iter().filter_map(|key| bergshamra::keys::loader::load_spki_der(key).ok()));
    // `new`, whose defaults ignore KeyInfo. Not `add_id_attr("ID")`: it is known, and adding it makes each ID a duplicate.
    let results = bergshamra::dsig::verify::verify_all_document(&DsigContext::new(manager), &tree.document)
        .map_err(|error| format!("its signature cannot be processed: {error}"))?;
    let mut verified = Vec::new();
    for result in &results {
        verified.push(valid(tree, result)?);
    }
    // What the verifier resolved, not what the shape promised, is what is believed; the two must agree.
    if verified.len() != covered.len() || !verified.iter().all(|node| covered.contains(node)) {
        return Err("its signature covers something else".to_owned());
    }
    Ok(verified)
}

/// The node a signature covers, if it is valid.
fn valid(tree: &Tree<'_>, result: &VerifyResult) -> Result<NodeId, String> {
    match result {
        VerifyResult::Valid { signature_node, references, .. } => match references.as_slice() {
            [reference] if reference.digest_verified => reference
                .resolved_node
                .filter(|node| tree.document.parent(*signature_node) == Some(*node))
                .ok_or_else(|| "its signature covers something else".to_owned()),
            _ => Err("its signature does not cover exactly one element".to_owned()),
        },
        VerifyResult::Invalid { reason } => {
            let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
            Err(format!(
                "its signature is not by a key of the identity provider's metadata, or it was changed: {reason}"
            ))
        }
    }
}

/// Holds a signature to the one shape that SAML profiles use (SAML Core §5.4), before any of it is processed.
fn shape(tree: &Tree<'_>, signature: NodeId, signed: NodeId) -> Result<(), String> {
    let parts = tree.children(signature);
    let known = ["SignedInfo", "SignatureValue", "KeyInfo"];
    if !parts.iter().all(|part| known.iter().any(|name| tree.is(*part, DSIG, name))) {
        return Err("its signature holds more than a signature".to_owned());
    }
    tree.need(signature, DSIG, "SignatureValue")?;
    tree.child(signature, DSIG, "KeyInfo")?;
    let info = tree.need(signature, DSIG, "SignedInfo")?;
    let [method, algorithm, reference] =
        exactly(tree, info, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
    only(tree, method, &[EXCLUSIVE], "canonicalization")?;
    inclusive_prefixes_alone(tree, method)?;
    only(tree, algorithm, &METHODS, "signature")?;
    childless(tree, algorithm)?;
    let id = tree.attribute(signed, "ID").filter(|id| !id.is_empty());
    let uri = tree.attribute(reference, "URI").and_then(|uri| uri.strip_prefix('#'));
    if id.is_none() || uri != id {
        return Err("its signature does not refer to the element that holds it".to_owned());
    }
    let [transforms, digest, _] = exactly(tree, reference, ["Transforms", "DigestMethod", "DigestValue"])?;
    only(tree, digest, &DIGESTS, "digest")?;
    childless(tree, digest)?;
    let [enveloped, exclusive] = exactly(tree, transforms, ["Transform", "Transform"])?;
    only(tree, enveloped, &[ENVELOPED], "transform")?;
    childless(tree, enveloped)?;
    only(tree, exclusive, &[EXCLUSIVE], "transform")?;
    inclusive_prefixes_alone(tree, exclusive)
}

/// The children, which are these and no others, in this order.
fn exactly<const N: usize>(tree: &Tree<'_>, node: NodeId, names: [&str; N]) -> Result<[NodeId; N], String> {
    let unusual = || "its signature has an unusual shape".to_owned();
    let children: [NodeId; N] = tree.children(node).try_into().map_err(|_| unusual())?;
    let named = children.iter().zip(names).all(|(child, name)| tree.is(*child, DSIG, name));
    if named { Ok(children) } else { Err(unusual()) }
}

fn only(tree: &Tree<'_>, node: NodeId, known: &[&str], what: &str) -> Result<(), String> {
    let algorithm = tree.attribute(node, "Algorithm").unwrap_or_default();
    if known.contains(&algorithm) {
        return Ok(());
    }
    let shown: String = algorithm.chars().filter(char::is_ascii_graphic).take(100).collect();
    Err(format!("its {what} algorithm is not accepted: {shown}"))
}

fn childless(tree: &Tree<'_>, node: NodeId) -> Result<(), String> {
    if tree.children(node).is_empty() { Ok(()) } else { Err("its signature has an unusual shape".to_owned()) }
}

fn inclusive_prefixes_alone(tree: &Tree<'_>, node: NodeId) -> Result<(), String> {
    match tree.children(node).as_slice() {
        [] => Ok(()),
        [one] if tree.is(*one, EXCLUSIVE, "InclusiveNamespaces") => childless(tree, *one),
        _ => Err("its signature has an unusual shape".to_owned()),
    }
}

/// The enveloped signature of an element with that `ID`, whose canonical form (exclusive, without the signature) is given.
pub(super) fn enveloped(key: &ServiceKey, id: &str, canonical: &str) -> Option<String> {
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let info = |namespace: &str| {
        format!(
            "<ds:SignedInfo{namespace}><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod><ds:Reference URI=\"#{id}\">\
             <ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
             <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue>\
             </ds:Reference></ds:SignedInfo>"
        )
    };
    // Canonical, the signed part declares its prefix itself; in the document its parent does.
    let value = key.sign(info(&format!(" xmlns:ds=\"{DSIG}\"")).as_bytes())?;
    Some(format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\">{}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>",
        info("")
    ))
}
