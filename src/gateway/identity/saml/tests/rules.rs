//! Whom and what an answer must name, and when.

use std::time::Duration;

use super::super::corpus::{Answer, REQUEST, Service, at, good, refused};
use crate::gateway::identity::{config::Signed, provider::ProviderError};

#[tokio::test]
async fn good_answers_are_believed_however_they_are_signed() {
    for (assertion, response) in [(true, false), (false, true), (true, true)] {
        let answer = Answer { sign_assertion: assertion, sign_response: response, ..good() };
        let received = Service::open(|_| ()).receive(&answer.xml()).await.unwrap();
        let claimed = received.claimed;
        assert_eq!(claimed.subject, "alice@example.test");
        assert_eq!(claimed.email.as_deref(), Some("alice@example.test"));
        assert_eq!(claimed.groups, ["ml-users", "fraud-readers"]);
        assert_eq!((received.in_response_to.as_str(), received.assertion.as_str()), (REQUEST, "_assertion"));
        assert_eq!((received.delivered_until, received.session_end), (at(300 + 180), None));
    }
}

#[tokio::test]
async fn what_must_be_signed_is_the_operators_choice_and_never_nothing() {
    for (required, assertion, response, fits) in [
        (Signed::Either, false, false, false),
        (Signed::Assertion, true, false, true),
        (Signed::Assertion, false, true, false),
        (Signed::Response, false, true, true),
        (Signed::Response, true, false, false),
        (Signed::Response, true, true, true),
    ] {
        let answer = Answer { sign_assertion: assertion, sign_response: response, ..good() };
        let service = Service::open(|config| config.require_signed = required);
        assert_eq!(service.receive(&answer.xml()).await.is_ok(), fits, "{required:?} {assertion} {response}");
    }
}

#[tokio::test]
async fn each_thing_an_answer_says_is_checked() {
    type Change = (&'static str, fn(&mut Answer), &'static str);
    let changes: &[Change] = &[
        ("destination", |a| a.destination = "https://other.example.test/acs".into(), "Destination"),
        ("recipient", |a| a.recipient = "https://other.example.test/acs".into(), "another recipient"),
        ("audience", |a| a.audience = "https://other.example.test".into(), "another audience"),
        ("issuer", |a| a.issuer = "https://other.example.test".into(), "another issuer"),
        ("response issuer", |a| a.response_issuer = "https://other.example.test".into(), "another issuer"),
        ("method", |a| a.method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key".into(), "bearer"),
        ("confirmed request", |a| a.confirmed_request = "_other".into(), "another request"),
        ("expired", |a| a.ends = at(-180), "time is over"),
        ("delivered late", |a| a.delivered_until = at(-180), "is over"),
        ("not yet", |a| a.not_before = at(181), "has not come"),
        ("made in the future", |a| a.issued = at(181), "in the future"),
        ("session over", |a| a.session_end = Some(at(0)), "session is over"),
        ("unknown condition", |a| a.conditions = "<saml:Condition></saml:Condition>".into(), "not known"),
        (
            "second audience",
            |a| {
                a.conditions =
                    "<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>"
                        .into();
            },
            "another audience",
        ),
        ("no request", |a| a.in_response_to = String::new(), "answers no request"),
        (
            "transient",
            |a| a.name_format = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient".into(),
            "transient",
        ),
        ("empty name", |a| a.name_id = " ".into(), "NameID"),
        ("control in name", |a| a.name_id = "a\tb".into(), "NameID"),
    ];
    for (name, change, why) in changes {
        // Signed as a whole: whatever is wrong is not the signature.
        let mut answer = Answer { sign_response: true, ..good() };
        change(&mut answer);
        let said = refused(&answer.xml()).await;
        assert!(said.contains(why), "{name}: {said}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_the_skew_and_no_more() {
    for (change, fits) in [
        ((|a| a.ends = at(-179)) as fn(&mut Answer), true),
        (|a| a.delivered_until = at(-179), true),
        (|a| a.not_before = at(180), true),
        (|a| a.issued = at(180), true),
        (|a| a.conditions = "<saml:OneTimeUse></saml:OneTimeUse>".into(), true),
        (|a| a.session_end = Some(at(-1)), false),
    ] {
        let mut answer = good();
        change(&mut answer);
        assert_eq!(Service::open(|_| ()).receive(&answer.xml()).await.is_ok(), fits);
    }
}

#[tokio::test]
async fn the_session_ends_with_the_first_of_its_ends() {
    let hour = Duration::from_secs(3600);
    for (said, bound, end) in [
        (None, None, None),
        (Some(at(600)), None, Some(at(600))),
        (None, Some(hour), Some(at(3600))),
        (Some(at(600)), Some(hour), Some(at(600))),
        (Some(at(7200)), Some(hour), Some(at(3600))),
    ] {
        let service = Service::open(|config| config.session = bound);
        let received = service.receive(&Answer { session_end: said, ..good() }.xml()).await.unwrap();
        assert_eq!(received.session_end, end);
    }
}

#[tokio::test]
async fn the_providers_own_word_is_told() {
    let answer = Answer {
        status: "urn:oasis:names:tc:SAML:2.0:status:Responder".into(),
        sign_assertion: false,
        ..good()
    };
    let xml = answer.around("").replace(
        "</samlp:StatusCode>",
        "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:AuthnFailed\"/></samlp:StatusCode><samlp:StatusMessage>locked</samlp:StatusMessage>",
    );
    let error = Service::open(|_| ()).receive(&xml).await.err().unwrap();
    assert!(
        matches!(&error, ProviderError::Refused(why) if why == "Responder, AuthnFailed: locked"),
        "{error}"
    );
}

#[tokio::test]
async fn groups_are_texts_or_nothing() {
    for (groups, expected) in [
        (vec![], vec![]),
        (vec!["one"], vec!["one"]),
        (vec!["a&quot;b", "a&amp;b", "o\u{308}"], vec!["a\"b", "a&b", "o\u{308}"]),
        (vec!["one", "t\nwo"], vec![]),
        (vec!["one", "<saml:NameID>x</saml:NameID>"], vec![]),
    ] {
        let groups: Vec<String> = groups.into_iter().map(str::to_owned).collect();
        // Quotes stand plain in canonical texts; what the test writes is not canonical, so nothing here is signed twice.
        let canonical = groups.iter().map(|group| group.replace("&quot;", "\"")).collect();
        let answer = Answer { groups: canonical, ..good() };
        let received = Service::open(|_| ()).receive(&answer.xml()).await.unwrap();
        assert_eq!(received.claimed.groups, expected);
    }
    let service = Service::open(|config| config.groups_attribute = "roles".into());
    assert!(service.receive(&good().xml()).await.unwrap().claimed.groups.is_empty());
    let service = Service::open(|config| config.subject = Some("email".into()));
    let answer =
        Answer { name_format: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient".into(), ..good() };
    assert_eq!(service.receive(&answer.xml()).await.unwrap().claimed.subject, "alice@example.test");
}
