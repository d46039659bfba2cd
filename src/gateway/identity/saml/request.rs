//! An authentication request and the two ways of handing it over (SAML Core §3.4.1, Bindings §3.4, §3.5).

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::STANDARD};
use url::{Url, form_urlencoded};

use super::{
    assertion::ASSERTION,
    keys::ServiceKey,
    metadata::POST,
    response::PROTOCOL,
    signature::{self, RSA_SHA256},
    xml::{in_attribute, in_element},
};
use crate::clock::rfc3339;

/// How the browser is sent to the provider.
pub(in super::super) enum Start {
    /// To this address.
    Redirect(Url),
    /// By a form with the request and the relay state.
    Form {
        /// Where it goes.
        action: Url,
        /// `SAMLRequest`.
        request: String,
    },
}

/// An authentication request.
pub(super) struct AuthnRequest<'a> {
    /// An NCName; the answer says it as `InResponseTo`.
    pub(super) id: &'a str,
    pub(super) issuer: &'a str,
    /// Where the answer shall go.
    pub(super) acs: &'a str,
    pub(super) now: SystemTime,
}

impl AuthnRequest<'_> {
    /// The address of an HTTP-Redirect; signed over the query (Bindings §3.4.4.1) if a key is given.
    pub(super) fn redirect(&self, to: &Url, relay: &str, key: Option<&ServiceKey>) -> Option<Url> {
        let message = STANDARD.encode(stored(self.xml(to, "").as_bytes()));
        let mut query = format!("SAMLRequest={}&RelayState={}", encoded(&message), encoded(relay));
        if let Some(key) = key {
            query.push_str(&format!("&SigAlg={}", encoded(RSA_SHA256)));
            let signature = key.sign(query.as_bytes())?;
            query.push_str(&format!("&Signature={}", encoded(&signature)));
        }
        let mut url = to.clone();
        let query = match to.query() {
            Some(own) if !own.is_empty() => format!("{own}&{query}"),
            _ => query,
        };
        url.set_query(Some(&query));
        Some(url)
    }

    /// The `SAMLRequest` of an HTTP-POST; signed inside if a key is given.
    pub(super) fn form(&self, to: &Url, key: Option<&ServiceKey>) -> Option<String> {
        let signature = match key {
            Some(key) => signature::enveloped(key, self.id, &self.xml(to, ""))?,
            None => String::new(),
        };
        Some(STANDARD.encode(self.xml(to, &signature)))
    }

    /// In canonical form (attributes in their order, no empty-element tags), so that it can be signed as it stands.
    fn xml(&self, to: &Url, signature: &str) -> String {
        format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" AssertionConsumerServiceURL=\"{acs}\" Destination=\"{to}\" \
             ID=\"{id}\" IssueInstant=\"{at}\" ProtocolBinding=\"{POST}\" Version=\"2.0\">\
             <saml:Issuer xmlns:saml=\"{ASSERTION}\">{issuer}</saml:Issuer>{signature}\
             <samlp:NameIDPolicy AllowCreate=\"true\"></samlp:NameIDPolicy></samlp:AuthnRequest>",
            acs = in_attribute(self.acs),
            to = in_attribute(to.as_str()),
            id = in_attribute(self.id),
            at = rfc3339(self.now),
            issuer = in_element(self.issuer),
        )
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// DEFLATE (RFC 1951 §3.2.4) without compressing: requests are short, and every inflater reads stored blocks.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::new();
    let mut blocks = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        deflated.push(u8::from(blocks.peek().is_none()));
        deflated.extend(length.to_le_bytes());
        deflated.extend((!length).to_le_bytes());
        deflated.extend(block);
    }
    deflated
}
