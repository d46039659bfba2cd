//! The gateway's own metadata, which operators give to their identity provider.

use super::{
    decrypt::XENC,
    metadata::POST,
    response::PROTOCOL,
    signature::DSIG,
    xml::{in_attribute, in_element},
};

/// Ways of encrypting an assertion that are taken, the better first.
const CIPHERS: [&str; 4] = [
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
    "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
];
/// Names that stay the same at each login.
const FORMATS: [&str; 3] = [
    "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
];

/// What the metadata says.
pub(super) struct Descriptor<'a> {
    pub(super) entity_id: &'a str,
    pub(super) acs: &'a str,
    /// DER in base64.
    pub(super) certificate: &'a str,
    pub(super) signs_requests: bool,
    pub(super) wants_signed_assertions: bool,
}

impl Descriptor<'_> {
    /// The document (SAML Metadata §2.4.4).
    pub(super) fn xml(&self) -> String {
        let key = format!(
            "<ds:KeyInfo xmlns:ds=\"{DSIG}\"><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
            self.certificate
        );
        let ciphers: String = CIPHERS
            .iter()
            .map(|cipher| format!("<md:EncryptionMethod Algorithm=\"{cipher}\"/>\n"))
            .chain([format!("<md:EncryptionMethod Algorithm=\"{XENC}rsa-oaep-mgf1p\"/>\n")])
            .collect();
        let formats: String =
            FORMATS.iter().map(|format| format!("<md:NameIDFormat>{format}</md:NameIDFormat>\n")).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{entity}\">\n\
             <md:SPSSODescriptor AuthnRequestsSigned=\"{signs}\" WantAssertionsSigned=\"{wants}\" \
             protocolSupportEnumeration=\"{PROTOCOL}\">\n\
             <md:KeyDescriptor use=\"signing\">{key}</md:KeyDescriptor>\n\
             <md:KeyDescriptor use=\"encryption\">{key}\n{ciphers}</md:KeyDescriptor>\n\
             {formats}\
             <md:AssertionConsumerService Binding=\"{POST}\" Location=\"{acs}\" index=\"0\" isDefault=\"true\"/>\n\
             </md:SPSSODescriptor>\n</md:EntityDescriptor>\n",
            entity = in_attribute(self.entity_id),
            signs = self.signs_requests,
            wants = self.wants_signed_assertions,
            acs = in_element(self.acs),
        )
    }
}
