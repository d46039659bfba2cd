//! What a verified assertion says: about whom, for whom, until when (SAML Core §2, Profiles §4.1.4).

use std::time::{Duration, SystemTime};

use serde_json::Value;
use uppsala::NodeId;

use super::{metadata::instant, xml::Tree};
use crate::gateway::identity::provider::Claims;

pub(super) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
/// Conditions whose meaning is known; `OneTimeUse` and `ProxyRestriction` ask for less than we do.
const CONDITIONS: [&str; 3] = ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"];
/// The longest identifier, in bytes.
const MAX_ID: usize = 256;

/// What an assertion must agree with.
pub(super) struct Expected<'a> {
    /// The identity provider.
    pub(super) issuer: &'a str,
    /// Ourselves.
    pub(super) audience: &'a str,
    /// Where it was delivered.
    pub(super) recipient: &'a str,
    /// The request it answers, as its response says.
    pub(super) in_response_to: &'a str,
    pub(super) now: SystemTime,
    pub(super) skew: Duration,
}

impl Expected<'_> {
    /// Whether a moment has come, by a clock that may be ahead of ours.
    pub(super) fn begun(&self, at: SystemTime) -> bool {
        at <= self.now + self.skew
    }

    /// Whether an end has not come, by a clock that may be behind ours.
    fn lasts(&self, end: SystemTime) -> bool {
        self.now < end + self.skew
    }
}

/// What it says.
pub(super) struct Statement {
    /// Unique at its issuer.
    pub(super) id: String,
    pub(super) name_id: NameId,
    /// Texts by the attributes' names; several values are a list.
    pub(super) attributes: Claims,
    /// Until when it can be delivered: until then it is remembered.
    pub(super) delivered_until: SystemTime,
    /// When the provider wants the session to end.
    pub(super) session_end: Option<SystemTime>,
}

/// How the provider names the person.
pub(super) struct NameId {
    pub(super) text: String,
    /// Another one at each login.
    pub(super) transient: bool,
}

/// Reads the assertion at `node`, which a valid signature covers.
pub(super) fn read(tree: &Tree<'_>, node: NodeId, expected: &Expected<'_>) -> Result<Statement, String> {
    if tree.attribute(node, "Version") != Some("2.0") {
        return Err("its assertion is not of SAML 2.0".to_owned());
    }
    let id = identifier(tree, node).ok_or("its assertion has no usable ID")?;
    issuer(tree, tree.need(node, ASSERTION, "Issuer")?, expected.issuer)?;
    let issued = time(tree, node, "IssueInstant")?.ok_or("its assertion has no IssueInstant")?;
    if !expected.begun(issued) {
        return Err("its assertion was made in the future; compare the clocks".to_owned());
    }
    let subject = tree.need(node, ASSERTION, "Subject")?;
    let delivered_until = confirmed(tree, subject, expected)?;
    conditions(tree, node, expected)?;
    let session_end = authentication(tree, node, expected)?;
    Ok(Statement {
        id,
        name_id: name_id(tree, subject)?,
        attributes: attributes(tree, node)?,
        delivered_until,
        session_end,
    })
}

/// An `ID` that is short enough to keep.
pub(super) fn identifier(tree: &Tree<'_>, node: NodeId) -> Option<String> {
    let id = tree.attribute(node, "ID")?;
    (!id.is_empty() && id.len() <= MAX_ID && !id.chars().any(char::is_control)).then(|| id.to_owned())
}

/// Checks an `Issuer` to be the identity provider.
pub(super) fn issuer(tree: &Tree<'_>, node: NodeId, expected: &str) -> Result<(), String> {
    if tree.text(node).as_deref().map(str::trim) == Some(expected) {
        return Ok(());
    }
    Err("it is of another issuer than the metadata".to_owned())
}

/// A time attribute, if it is there.
pub(super) fn time(tree: &Tree<'_>, node: NodeId, name: &str) -> Result<Option<SystemTime>, String> {
    match tree.attribute(node, name) {
        None => Ok(None),
        Some(text) => instant(text).map(Some).ok_or_else(|| format!("its {name} is no time")),
    }
}

fn name_id(tree: &Tree<'_>, subject: NodeId) -> Result<NameId, String> {
    let node = tree
        .child(subject, ASSERTION, "NameID")?
        .ok_or("its subject has no NameID (encrypted ones are not read: encrypt the assertion)")?;
    let text = tree.text(node).ok_or("its NameID is no text")?.trim().to_owned();
    Ok(NameId { text, transient: tree.attribute(node, "Format") == Some(TRANSIENT) })
}

/// When the last confirmation that holds for us ends (Profiles §4.1.4.3); an error when none holds.
fn confirmed(tree: &Tree<'_>, subject: NodeId, expected: &Expected<'_>) -> Result<SystemTime, String> {
    let mut ends = Vec::new();
    let mut why = "its subject is not confirmed by a bearer confirmation".to_owned();
    for confirmation in tree.named(subject, ASSERTION, "SubjectConfirmation") {
        if tree.attribute(confirmation, "Method") != Some(BEARER) {
            continue;
        }
        match bearer(tree, confirmation, expected) {
            Ok(end) => ends.push(end),
            Err(problem) => why = problem,
        }
    }
    ends.into_iter().max().ok_or(why)
}

fn bearer(tree: &Tree<'_>, node: NodeId, expected: &Expected<'_>) -> Result<SystemTime, String> {
    let data = tree.need(node, ASSERTION, "SubjectConfirmationData")?;
    if tree.attribute(data, "Recipient") != Some(expected.recipient) {
        return Err("its assertion is for another recipient".to_owned());
    }
    if tree.attribute(data, "InResponseTo") != Some(expected.in_response_to) {
        return Err("its assertion answers another request than its response".to_owned());
    }
    // The profile forbids NotBefore here; a provider that sets it all the same means it.
    if time(tree, data, "NotBefore")?.is_some_and(|start| !expected.begun(start)) {
        return Err("its assertion's time has not come; compare the clocks".to_owned());
    }
    match time(tree, data, "NotOnOrAfter")? {
        None => Err("its subject's confirmation has no end (NotOnOrAfter)".to_owned()),
        Some(end) if expected.lasts(end) => Ok(end),
        Some(_) => Err("its assertion's time to be delivered is over; compare the clocks".to_owned()),
    }
}

fn conditions(tree: &Tree<'_>, node: NodeId, expected: &Expected<'_>) -> Result<(), String> {
    let conditions = tree.need(node, ASSERTION, "Conditions")?;
    if time(tree, conditions, "NotBefore")?.is_some_and(|start| !expected.begun(start)) {
        return Err("its assertion's time has not come; compare the clocks".to_owned());
    }
    if time(tree, conditions, "NotOnOrAfter")?.is_some_and(|end| !expected.lasts(end)) {
        return Err("its assertion's time is over; compare the clocks".to_owned());
    }
    let known = |child: &NodeId| CONDITIONS.iter().any(|name| tree.is(*child, ASSERTION, name));
    if !tree.children(conditions).iter().all(known) {
        return Err("its assertion has a condition that is not known".to_owned());
    }
    // SAML Core §2.5.1.4: every restriction must hold, each by one of its audiences.
    let restrictions = tree.named(conditions, ASSERTION, "AudienceRestriction");
    let ours = |restriction: &NodeId| {
        let audiences = tree.named(*restriction, ASSERTION, "Audience").into_iter();
        let mut texts = audiences.filter_map(|audience| tree.text(audience));
        texts.any(|audience| audience.trim() == expected.audience)
    };
    if restrictions.is_empty() || !restrictions.iter().all(ours) {
        return Err(format!("its assertion is for another audience than {}", expected.audience));
    }
    Ok(())
}

/// When the provider wants the session to end. Its end is an end: no skew is added.
fn authentication(
    tree: &Tree<'_>,
    node: NodeId,
    expected: &Expected<'_>,
) -> Result<Option<SystemTime>, String> {
    let statements = tree.named(node, ASSERTION, "AuthnStatement");
    if statements.is_empty() {
        return Err("its assertion does not say that anybody signed in (AuthnStatement)".to_owned());
    }
    let mut first = None;
    for statement in statements {
        let end = time(tree, statement, "SessionNotOnOrAfter")?;
        first = match (first, end) {
            (Some(a), Some(b)) => Some(std::cmp::min::<SystemTime>(a, b)),
            (one, other) => one.or(other),
        };
    }
    if first.is_some_and(|end| end <= expected.now) {
        return Err("the provider's own session is over (SessionNotOnOrAfter)".to_owned());
    }
    Ok(first)
}

/// The attributes. Values that are no text are `null`: who reads them knows that something is there, and cannot use it.
fn attributes(tree: &Tree<'_>, node: NodeId) -> Result<Claims, String> {
    let mut claims = Claims::new();
    for statement in tree.named(node, ASSERTION, "AttributeStatement") {
        for attribute in tree.named(statement, ASSERTION, "Attribute") {
            let name =
                tree.attribute(attribute, "Name").ok_or("an attribute of its assertion has no Name")?;
            let values = tree.named(attribute, ASSERTION, "AttributeValue").into_iter();
            let mut values: Vec<_> =
                values.map(|value| tree.text(value).map_or(Value::Null, Value::String)).collect();
            // An attribute that stands there twice has the values of both (some providers write a group at a time).
            match claims.remove(name) {
                Some(Value::Array(mut before)) => {
                    before.append(&mut values);
                    values = before;
                }
                Some(before) => values.insert(0, before),
                None => {}
            }
            let value = match <[Value; 1]>::try_from(values) {
                Ok([one]) => one,
                Err(several) => Value::Array(several),
            };
            claims.insert(name.to_owned(), value);
        }
    }
    Ok(claims)
}
