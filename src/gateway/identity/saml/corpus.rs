//! An identity provider made of templates in canonical form, so that it can sign what it writes.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    clock::{Clock, rfc3339},
    gateway::identity::{
        config::{MetadataOrigin, SamlConfig, Signed},
        provider::ProviderError,
        saml::{
            ServiceProvider, Settings, assertion::ASSERTION, keys::ServiceKey, party::Received,
            response::PROTOCOL, signature,
        },
    },
};

pub(in super::super) const ISSUER: &str = "https://idp.example.test/saml";
pub(in super::super) const ENTITY: &str = "https://localhost:8443/saml/company";
pub(in super::super) const ACS: &str = "https://localhost:8443/saml/company/acs";
pub(in super::super) const REQUEST: &str = "_request";

/// RSA keys cost half a second each: the provider's, a stranger's and ours.
struct Keys {
    idp: ServiceKey,
    foreign: ServiceKey,
    _folder: tempfile::TempDir,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| ServiceKey::open(&folder.path().join(name), name, now()).unwrap();
    Keys { idp: key("idp"), foreign: key("foreign"), _folder: folder }
});

pub(in super::super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_418_146)
}

pub(in super::super) fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { now() - distance } else { now() + distance }
}

/// What a good answer says, for a test to change one thing of.
#[derive(Clone)]
pub(in super::super) struct Answer {
    pub(in super::super) destination: String,
    pub(in super::super) recipient: String,
    pub(in super::super) audience: String,
    pub(in super::super) response_issuer: String,
    pub(in super::super) issuer: String,
    pub(in super::super) status: String,
    pub(in super::super) method: String,
    pub(in super::super) in_response_to: String,
    pub(in super::super) confirmed_request: String,
    pub(in super::super) issued: SystemTime,
    pub(in super::super) not_before: SystemTime,
    pub(in super::super) ends: SystemTime,
    pub(in super::super) delivered_until: SystemTime,
    pub(in super::super) session_end: Option<SystemTime>,
    pub(in super::super) name_id: String,
    pub(in super::super) name_format: String,
    pub(in super::super) groups: Vec<String>,
    pub(in super::super) conditions: String,
    pub(in super::super) assertion_id: String,
    pub(in super::super) sign_assertion: bool,
    pub(in super::super) sign_response: bool,
    pub(in super::super) foreign_key: bool,
}

pub(in super::super) fn good() -> Answer {
    Answer {
        destination: ACS.into(),
        recipient: ACS.into(),
        audience: ENTITY.into(),
        response_issuer: ISSUER.into(),
        issuer: ISSUER.into(),
        status: "urn:oasis:names:tc:SAML:2.0:status:Success".into(),
        method: "urn:oasis:names:tc:SAML:2.0:cm:bearer".into(),
        in_response_to: REQUEST.into(),
        confirmed_request: REQUEST.into(),
        issued: now(),
        not_before: at(-60),
        ends: at(300),
        delivered_until: at(300),
        session_end: None,
        name_id: "alice@example.test".into(),
        name_format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".into(),
        groups: vec!["ml-users".into(), "fraud-readers".into()],
        conditions: String::new(),
        assertion_id: "_assertion".into(),
        sign_assertion: true,
        sign_response: false,
        foreign_key: false,
    }
}

impl Answer {
    fn key(&self) -> &'static ServiceKey {
        if self.foreign_key { &KEYS.foreign } else { &KEYS.idp }
    }

    /// The assertion, signed if it shall be.
    pub(in super::super) fn assertion(&self) -> String {
        let session = self.session_end.map(|end| format!(" SessionNotOnOrAfter=\"{}\"", rfc3339(end)));
        let values: String = self
            .groups
            .iter()
            .map(|group| format!("<saml:AttributeValue>{group}</saml:AttributeValue>"))
            .collect();
        let xml = format!(
            "<saml:Assertion xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" IssueInstant=\"{issued}\" Version=\"2.0\">\
             <saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID Format=\"{format}\">{name}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"{method}\"><saml:SubjectConfirmationData InResponseTo=\"{request}\" \
             NotOnOrAfter=\"{delivered}\" Recipient=\"{recipient}\"></saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{start}\" NotOnOrAfter=\"{end}\"><saml:AudienceRestriction>\
             <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>{conditions}</saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{issued}\"{session}></saml:AuthnStatement>\
             <saml:AttributeStatement><saml:Attribute Name=\"email\"><saml:AttributeValue>alice@example.test\
             </saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"groups\">{values}</saml:Attribute>\
             </saml:AttributeStatement></saml:Assertion>",
            id = self.assertion_id,
            issued = rfc3339(self.issued),
            issuer = self.issuer,
            format = self.name_format,
            name = self.name_id,
            method = self.method,
            request = self.confirmed_request,
            delivered = rfc3339(self.delivered_until),
            recipient = self.recipient,
            start = rfc3339(self.not_before),
            end = rfc3339(self.ends),
            audience = self.audience,
            conditions = self.conditions,
            session = session.unwrap_or_default(),
        );
        if self.sign_assertion { signed(self.key(), &self.assertion_id, &xml) } else { xml }
    }

    /// A response around some content, signed if it shall be.
    pub(in super::super) fn around(&self, content: &str) -> String {
        let xml = format!(
            "<samlp:Response xmlns:samlp=\"{PROTOCOL}\" Destination=\"{}\" ID=\"_response\" InResponseTo=\"{}\" \
             IssueInstant=\"{}\" Version=\"2.0\"><saml:Issuer xmlns:saml=\"{ASSERTION}\">{}</saml:Issuer>\
             <samlp:Status><samlp:StatusCode Value=\"{}\"></samlp:StatusCode></samlp:Status>{content}</samlp:Response>",
            self.destination,
            self.in_response_to,
            rfc3339(self.issued),
            self.response_issuer,
            self.status,
        );
        if self.sign_response { signed(self.key(), "_response", &xml) } else { xml }
    }

    pub(in super::super) fn xml(&self) -> String {
        self.around(&self.assertion())
    }
}

fn signed(key: &ServiceKey, id: &str, xml: &str) -> String {
    let signature = signature::enveloped(key, id, xml).unwrap();
    xml.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
}

pub(in super::super) fn metadata() -> String {
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{ISSUER}\"><IDPSSODescriptor \
         protocolSupportEnumeration=\"{PROTOCOL}\"><KeyDescriptor><KeyInfo xmlns=\"{}\"><X509Data><X509Certificate>\n{}\n\
         </X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example.test/sso?x=1\"/>\
         </IDPSSODescriptor></EntityDescriptor>",
        signature::DSIG,
        KEYS.idp.certificate(),
    )
}

pub(in super::super) fn config(folder: &Path) -> SamlConfig {
    let path = folder.join("idp.xml");
    std::fs::write(&path, metadata()).unwrap();
    SamlConfig {
        metadata: MetadataOrigin::File(path),
        metadata_certificate: None,
        ca: None,
        entity_id: None,
        groups_attribute: "groups".into(),
        email_attribute: "email".into(),
        name_attribute: "displayName".into(),
        subject: None,
        sign_requests: None,
        require_signed: Signed::Either,
        clock_skew: Duration::from_secs(180),
        session: None,
    }
}

/// Our side: one key for all tests.
pub(in super::super) struct Service {
    pub(in super::super) party: ServiceProvider,
    pub(in super::super) certificate: String,
    _folder: tempfile::TempDir,
}

static OURS: LazyLock<Arc<tempfile::TempDir>> = LazyLock::new(|| Arc::new(tempfile::tempdir().unwrap()));

impl Service {
    pub(in super::super) fn open(change: impl FnOnce(&mut SamlConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let settings = Settings { name: "company".into(), entity_id: ENTITY.into(), acs: ACS.into(), config };
        let key = ServiceKey::open(OURS.path(), "localhost", now()).unwrap();
        let certificate = key.certificate().to_owned();
        let (clock, _) = Clock::manual(now());
        Self { party: ServiceProvider::new(settings, key, clock).unwrap(), certificate, _folder: folder }
    }

    pub(in super::super) async fn receive(&self, xml: &str) -> Result<Received, ProviderError> {
        self.party.receive(&STANDARD.encode(xml)).await
    }
}

/// Why an answer is refused, with everything as usual on our side.
pub(in super::super) async fn refused(xml: &str) -> String {
    match Service::open(|_| ()).receive(xml).await {
        Ok(received) => panic!("believed: {:?} in {xml}", received.claimed),
        Err(error) => error.to_string(),
    }
}
