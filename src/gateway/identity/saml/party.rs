//! One `[[identity]] kind = "saml"`: sends people to their provider and reads what it answers about them.

use std::{sync::Arc, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    assertion::{Expected, Statement},
    descriptor::Descriptor,
    invalid,
    keys::ServiceKey,
    metadata::Metadata,
    remembered::Remembered,
    request::{AuthnRequest, Start},
    response::{Envelope, Rules},
};
use crate::{
    clock::Clock,
    gateway::{
        identity::{
            config::{MetadataOrigin, SamlConfig, Signed},
            provider::{Claimed, MAX_TEXT, ProviderError, groups, subject, text},
        },
        outbound::{Outbound, acceptable},
    },
};

/// The longest response, in characters of base64: 256 KiB of XML.
const MAX_ENCODED: usize = 256 * 1024 / 3 * 4 + 8;

/// What `[[identity]] kind = "saml"` says, with its defaults filled in.
pub(in super::super) struct Settings {
    pub(in super::super) name: String,
    /// Ours.
    pub(in super::super) entity_id: String,
    /// Where answers are delivered.
    pub(in super::super) acs: String,
    pub(in super::super) config: SamlConfig,
}

/// The gateway as service provider of one identity provider.
pub(in super::super) struct ServiceProvider {
    settings: Settings,
    metadata: Remembered,
    key: ServiceKey,
    outbound: Outbound,
    clock: Clock,
}

/// Who a verified response names.
pub(in super::super) struct Received {
    pub(in super::super) claimed: Claimed,
    /// The request it answers: the browser that asked knows it.
    pub(in super::super) in_response_to: String,
    /// The assertion's own identifier, and until when a second one of it is a replay.
    pub(in super::super) assertion: String,
    pub(in super::super) delivered_until: SystemTime,
    /// When the session ends at the latest.
    pub(in super::super) session_end: Option<SystemTime>,
}

impl ServiceProvider {
    /// Opens a provider without asking it anything: it may be away when the gateway starts.
    pub(in super::super) fn new(settings: Settings, key: ServiceKey, clock: Clock) -> Result<Self, String> {
        let config = &settings.config;
        if let MetadataOrigin::Url(url) = &config.metadata
            && !acceptable(url)
        {
            return Err(format!("{url} is not https (plain http is for loopback alone)"));
        }
        let metadata = Remembered::new(config.metadata.clone(), config.metadata_certificate.clone());
        let outbound = Outbound::new(config.ca.as_deref())?;
        Ok(Self { outbound, settings, metadata, key, clock })
    }

    pub(in super::super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// How to send the browser; `id` names the request and `relay` comes back beside the answer.
    pub(in super::super) async fn begin(&self, id: &str, relay: &str) -> Result<Start, ProviderError> {
        let now = self.clock.now();
        let metadata = self.metadata.get(&self.outbound, now).await?;
        let Settings { entity_id, acs, config, .. } = &self.settings;
        let key = config.sign_requests.unwrap_or(metadata.wants_signed).then_some(&self.key);
        let request = AuthnRequest { id, issuer: entity_id, acs, now };
        let start = match (&metadata.redirect, &metadata.post) {
            (Some(to), _) => request.redirect(to, relay, key).map(Start::Redirect),
            (None, Some(to)) => {
                request.form(to, key).map(|request| Start::Form { action: to.clone(), request })
            }
            (None, None) => None,
        };
        start.ok_or_else(|| ProviderError::Unreachable("a request for it cannot be made".to_owned()))
    }

    /// The gateway's metadata.
    pub(in super::super) fn descriptor(&self) -> String {
        let Settings { entity_id, acs, config, .. } = &self.settings;
        Descriptor {
            entity_id,
            acs,
            certificate: self.key.certificate(),
            signs_requests: config.sign_requests != Some(false),
            wants_signed_assertions: config.require_signed == Signed::Assertion,
        }
        .xml()
    }

    /// Reads `SAMLResponse`. That the person asked for it, and that it comes for the first time, is the caller's to check.
    pub(in super::super) async fn receive(&self, encoded: &str) -> Result<Received, ProviderError> {
        if encoded.len() > MAX_ENCODED {
            return Err(invalid("it is too long"));
        }
        // Some providers wrap their base64 into lines (RFC 2045); everything else in it is refused.
        let packed: String = encoded.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let xml = STANDARD.decode(packed).map_err(|_| invalid("it is no base64"))?;
        let xml = String::from_utf8(xml).map_err(|_| invalid("it is not in UTF-8"))?;
        let now = self.clock.now();
        let metadata = self.metadata.get(&self.outbound, now).await?;
        let envelope = Envelope::read(&xml)?;
        let (statement, in_response_to) = match self.open(&envelope, &metadata, now) {
            // Signed with a key that is not known, perhaps because the provider has a new one.
            Err(error @ ProviderError::Invalid(_)) => {
                let newer = self.metadata.again(&self.outbound, now).await?;
                if Arc::ptr_eq(&newer, &metadata) {
                    return Err(error);
                }
                (self.open(&envelope, &newer, now)?, envelope.in_response_to)
            }
            opened => (opened?, envelope.in_response_to),
        };
        self.received(statement, in_response_to, now)
    }

    fn open(
        &self,
        envelope: &Envelope<'_>,
        metadata: &Metadata,
        now: SystemTime,
    ) -> Result<Statement, ProviderError> {
        envelope.open(&Rules {
            metadata,
            key: &self.key,
            required: self.settings.config.require_signed,
            expected: Expected {
                issuer: &metadata.entity_id,
                audience: &self.settings.entity_id,
                recipient: &self.settings.acs,
                in_response_to: &envelope.in_response_to,
                now,
                skew: self.settings.config.clock_skew,
            },
        })
    }

    fn received(
        &self,
        statement: Statement,
        in_response_to: String,
        now: SystemTime,
    ) -> Result<Received, ProviderError> {
        let name = &self.settings.name;
        let SamlConfig { groups_attribute, email_attribute, name_attribute, subject: attribute, .. } =
            &self.settings.config;
        let Statement { id, name_id, mut attributes, delivered_until, session_end } = statement;
        let subject = match attribute {
            Some(attribute) => subject(&attributes, attribute)?,
            None if name_id.transient => {
                return Err(invalid(
                    "its NameID is transient, another one at each login; let the provider send a persistent one, or set `subject` to an attribute",
                ));
            }
            None => {
                // Bounded as every other subject; no attribute can have this name.
                attributes.insert(String::new(), name_id.text.into());
                subject(&attributes, "")
                    .map_err(|_| invalid("its NameID is empty, too long or no plain text"))?
            }
        };
        let groups = groups(&attributes, groups_attribute, name).unwrap_or_else(|| {
            tracing::warn!(
                provider = name,
                attribute = groups_attribute,
                "the groups attribute is missing: the caller has no groups"
            );
            Vec::new()
        });
        let bound = self.settings.config.session.map(|life| now + life);
        Ok(Received {
            claimed: Claimed {
                subject,
                email: text(&attributes, email_attribute, MAX_TEXT).map(str::to_owned),
                name: text(&attributes, name_attribute, MAX_TEXT).map(str::to_owned),
                groups,
            },
            in_response_to,
            assertion: id,
            delivered_until: delivered_until + self.settings.config.clock_skew,
            session_end: [session_end, bound].into_iter().flatten().min(),
        })
    }
}
