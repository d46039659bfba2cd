//! A response, from base64 to a verified statement: every step before the next looks at more of it.

use uppsala::NodeId;

use super::{
    assertion::{self, ASSERTION, Expected, Statement},
    decrypt, invalid,
    keys::ServiceKey,
    metadata::Metadata,
    signature,
    xml::{MESSAGE, Tree},
};
use crate::gateway::identity::{config::Signed, provider::ProviderError};

pub(super) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const STATUS: &str = "urn:oasis:names:tc:SAML:2.0:status:";

/// What a response is held against.
pub(super) struct Rules<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) key: &'a ServiceKey,
    pub(super) required: Signed,
    pub(super) expected: Expected<'a>,
}

/// What a response answers, found before anything of it is believed.
pub(super) struct Envelope<'a> {
    tree: Tree<'a>,
    pub(super) in_response_to: String,
}

impl<'a> Envelope<'a> {
    /// Parses a response within its bounds and reads what it answers. A response that answers nothing was begun by the
    /// provider, and is refused: nobody asked for it.
    pub(super) fn read(xml: &'a str) -> Result<Self, ProviderError> {
        let tree = Tree::parse(xml, &MESSAGE).map_err(invalid)?;
        if !tree.is(tree.root, PROTOCOL, "Response") || tree.attribute(tree.root, "Version") != Some("2.0") {
            return Err(invalid("it is no Response of SAML 2.0"));
        }
        let in_response_to = tree.attribute(tree.root, "InResponseTo").filter(|id| !id.is_empty());
        let in_response_to = in_response_to.map(str::to_owned).ok_or_else(|| {
            invalid("it answers no request: sign-ins begin at this gateway, not at the identity provider")
        })?;
        Ok(Self { tree, in_response_to })
    }

    /// The statement of the response's assertion.
    pub(super) fn open(&self, rules: &Rules<'_>) -> Result<Statement, ProviderError> {
        let (tree, response) = (&self.tree, self.tree.root);
        self.addressed(rules).map_err(invalid)?;
        status(tree, response)?;
        let assertion = the_assertion(tree).map_err(invalid)?;
        let places = [response, assertion];
        let covered = signature::verify(tree, &rules.metadata.keys, &places).map_err(invalid)?;
        let by_response = covered.contains(&response);
        if rules.required == Signed::Response && !by_response {
            return Err(invalid("its response is not signed"));
        }
        if tree.is(assertion, ASSERTION, "Assertion") {
            let signed = signed_enough(rules.required, by_response, covered.contains(&assertion));
            signed.and_then(|()| assertion::read(tree, assertion, &rules.expected)).map_err(invalid)
        } else {
            self.opened(assertion, by_response, rules).map_err(invalid)
        }
    }

    /// Destination, issuer and time of the response itself.
    fn addressed(&self, rules: &Rules<'_>) -> Result<(), String> {
        let (tree, response) = (&self.tree, self.tree.root);
        assertion::identifier(tree, response).ok_or("it has no usable ID")?;
        if tree.attribute(response, "Destination") != Some(rules.expected.recipient) {
            return Err("its Destination is not this gateway's address for answers".to_owned());
        }
        // SAML Core §3.2.2 lets it out where the response is not signed; the assertion's own is required.
        if let Some(node) = tree.child(response, ASSERTION, "Issuer")? {
            assertion::issuer(tree, node, rules.expected.issuer)?;
        }
        match assertion::time(tree, response, "IssueInstant")? {
            Some(issued) if rules.expected.begun(issued) => Ok(()),
            Some(_) => Err("it was made in the future; compare the clocks".to_owned()),
            None => Err("it has no IssueInstant".to_owned()),
        }
    }

    /// The statement of an encrypted assertion: decrypted, then held to the same rules in a document of its own.
    fn opened(&self, encrypted: NodeId, by_response: bool, rules: &Rules<'_>) -> Result<Statement, String> {
        let xml = decrypt::open(&self.tree, encrypted, rules.key, by_response)?;
        let tree = Tree::parse(&xml, &MESSAGE)?;
        let nested = tree.everywhere(ASSERTION, "Assertion").len()
            + tree.everywhere(ASSERTION, "EncryptedAssertion").len();
        if !tree.is(tree.root, ASSERTION, "Assertion") || nested != 1 {
            return Err("what was encrypted is no single assertion".to_owned());
        }
        let covered = signature::verify(&tree, &rules.metadata.keys, &[tree.root])?;
        signed_enough(rules.required, by_response, covered.contains(&tree.root))?;
        assertion::read(&tree, tree.root, &rules.expected)
    }
}

/// The provider's own word on how it went (SAML Core §3.2.2.1).
fn status(tree: &Tree<'_>, response: NodeId) -> Result<(), ProviderError> {
    let status = tree.need(response, PROTOCOL, "Status").map_err(invalid)?;
    let mut words = Vec::new();
    let mut code = tree.need(status, PROTOCOL, "StatusCode").map_err(invalid)?;
    // The second code says more; deeper ones are the provider's own.
    for _ in 0..2 {
        let value = tree.attribute(code, "Value").unwrap_or_default();
        words.push(shown(value.strip_prefix(STATUS).unwrap_or(value)));
        match tree.child(code, PROTOCOL, "StatusCode").map_err(invalid)? {
            Some(next) => code = next,
            None => break,
        }
    }
    if words.first().is_some_and(|word| word == "Success") {
        return Ok(());
    }
    let message = tree.child(status, PROTOCOL, "StatusMessage").map_err(invalid)?;
    let message = message.and_then(|node| tree.text(node)).map(|text| shown(&text)).unwrap_or_default();
    let colon = if message.is_empty() { "" } else { ": " };
    Err(ProviderError::Refused(format!("{}{colon}{message}", words.join(", "))))
}

/// The one assertion, plain or encrypted: a child of the response, and no other anywhere, signed or not. This alone
/// leaves signature wrapping no second assertion to be read in place of the first.
fn the_assertion(tree: &Tree<'_>) -> Result<NodeId, String> {
    let mut found = tree.everywhere(ASSERTION, "Assertion");
    found.extend(tree.everywhere(ASSERTION, "EncryptedAssertion"));
    let responses = tree.everywhere(PROTOCOL, "Response");
    match (found.as_slice(), responses.as_slice()) {
        ([one], [_]) if tree.document.parent(*one) == Some(tree.root) => Ok(*one),
        ([], _) => Err("it has no assertion".to_owned()),
        _ => Err("it has more than one assertion, or one where none belongs".to_owned()),
    }
}

fn signed_enough(required: Signed, response: bool, assertion: bool) -> Result<(), String> {
    match required {
        Signed::Either if response || assertion => Ok(()),
        Signed::Response if response => Ok(()),
        Signed::Assertion if assertion => Ok(()),
        Signed::Either => Err("neither the response nor its assertion is signed".to_owned()),
        Signed::Response => Err("its response is not signed".to_owned()),
        Signed::Assertion => Err("its assertion is not signed".to_owned()),
    }
}

/// A foreign text, safe to show.
fn shown(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}
