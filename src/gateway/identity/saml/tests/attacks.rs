//! Forgeries: changed, stripped, wrapped, signed by others or by other means, too large, no XML at all.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::corpus::{Answer, Service, good, refused};
use crate::gateway::identity::provider::ProviderError;

#[tokio::test]
async fn what_was_changed_is_refused() {
    let xml = good().xml();
    for (from, to) in [
        ("fraud-readers", "hoop-admins"),
        (">alice@example.test</saml:NameID>", ">bob@example.test</saml:NameID>"),
        (">ml-users<", "> ml-users<"),
        (
            "</saml:AttributeStatement>",
            "<saml:Attribute Name=\"groups\"><saml:AttributeValue>x</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>",
        ),
        ("<ds:DigestValue>", "<ds:DigestValue>AAAA"),
    ] {
        let changed = xml.replacen(from, to, 1);
        assert_ne!(changed, xml);
        let why = refused(&changed).await;
        assert!(why.contains("signature") || why.contains("changed"), "{why}");
    }
    // The response is not signed here, so its own fields can be changed; they are held against the signed ones.
    assert!(
        refused(
            &xml.replace("InResponseTo=\"_request\" IssueInstant", "InResponseTo=\"_other\" IssueInstant")
        )
        .await
        .contains("another request")
    );
}

#[tokio::test]
async fn without_a_signature_nothing_is_believed() {
    let unsigned = Answer { sign_assertion: false, ..good() };
    assert!(refused(&unsigned.xml()).await.contains("signed"));
    let xml = Answer { sign_response: true, ..good() }.xml();
    let stripped = strip(&strip(&xml));
    assert!(!stripped.contains("Signature>"));
    assert!(refused(&stripped).await.contains("signed"));
}

#[tokio::test]
async fn a_strangers_signature_is_none() {
    let foreign = Answer { foreign_key: true, ..good() };
    assert!(refused(&foreign.xml()).await.contains("not by a key"));
    // The stranger's own key in KeyInfo changes nothing.
    let xml = foreign.xml().replacen(
        "</ds:SignatureValue>",
        "</ds:SignatureValue><ds:KeyInfo><ds:KeyName>idp</ds:KeyName></ds:KeyInfo>",
        1,
    );
    assert!(refused(&xml).await.contains("not by a key"));
    // A good assertion in a response that a stranger signed: one bad signature spoils the answer.
    let inner = good().assertion();
    let outer = Answer { sign_response: true, foreign_key: true, ..good() }.around(&inner);
    assert!(refused(&outer).await.contains("not by a key"));
}

#[tokio::test]
async fn alien_algorithms_and_shapes_are_refused_before_they_run() {
    let xml = good().xml();
    let enveloped =
        "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";
    for (from, to) in [
        ("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#dsa-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#hmac-sha256"),
        ("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#rsa-md5"),
        ("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"),
        (
            "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"",
            "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"",
        ),
        (enveloped, ""),
        (
            enveloped,
            "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></ds:Transform>",
        ),
        (
            enveloped,
            "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>",
        ),
        ("URI=\"#_assertion\"", "URI=\"\""),
        ("URI=\"#_assertion\"", "URI=\"#_response\""),
        ("URI=\"#_assertion\"", "URI=\"Cargo.toml\""),
        ("URI=\"#_assertion\"", "URI=\"#xpointer(id('_assertion'))\""),
        ("</ds:SignatureValue>", "</ds:SignatureValue><ds:Object></ds:Object>"),
        ("</ds:Reference>", "</ds:Reference><ds:Reference URI=\"#_response\"></ds:Reference>"),
    ] {
        let changed = xml.replacen(from, to, 1);
        assert_ne!(changed, xml, "{from}");
        let why = refused(&changed).await;
        let early = ["not accepted", "unusual shape", "does not refer", "more than a signature"];
        assert!(early.iter().any(|word| why.contains(word)), "{to}: {why}");
    }
}

#[tokio::test]
async fn every_shape_of_signature_wrapping_is_refused() {
    let evil = Answer {
        sign_assertion: false,
        name_id: "eve@example.test".into(),
        assertion_id: "_evil".into(),
        ..good()
    };
    let signed = good().assertion();
    let (bare, signature) = (strip(&signed), signature_of(&signed));
    let forged = evil.assertion();
    let into =
        |xml: &str, content: &str| xml.replacen("</saml:Issuer>", &format!("</saml:Issuer>{content}"), 1);
    let around = |content: &str| evil.around(content);
    let whole = Answer { sign_assertion: false, sign_response: true, ..good() }.xml();
    let (bare_whole, whole_signature) = (strip(&whole), signature_of(&whole));
    let evil_whole = evil.around(&forged).replace("\"_response\"", "\"_evil_response\"");
    let holding = |signature: &str, content: &str| {
        signature.replacen("</ds:Signature>", &format!("{content}</ds:Signature>"), 1)
    };
    let extensions = |content: &str| format!("<samlp:Extensions>{content}</samlp:Extensions>");
    let object = format!("<ds:Object>{bare}</ds:Object>");
    for (name, xml) in [
        ("XSW1", into(&evil_whole, &holding(&whole_signature, &bare_whole))),
        ("XSW2", into(&evil_whole, &format!("{bare_whole}{whole_signature}"))),
        ("XSW3", around(&format!("{forged}{signed}"))),
        ("XSW4", around(&forged.replace("</saml:Assertion>", &format!("{signed}</saml:Assertion>")))),
        ("XSW5", around(&format!("{}{bare}", into(&forged, &signature)))),
        ("XSW6", around(&into(&forged, &holding(&signature, &bare)))),
        ("XSW7", around(&format!("{}{signed}", extensions(&forged)))),
        ("XSW8", around(&into(&forged, &holding(&signature, &object)))),
        ("moved into extensions", around(&format!("{}{forged}", extensions(&signed)))),
        ("after it", around(&format!("{signed}{forged}"))),
        ("twice", around(&format!("{signed}{signed}"))),
        ("same identifier", around(&format!("{}{signed}", forged.replace("_evil", "_assertion")))),
        (
            "in the status",
            around(&forged).replace(
                "</samlp:Status>",
                &format!("<samlp:StatusDetail>{signed}</samlp:StatusDetail></samlp:Status>"),
            ),
        ),
        (
            "in advice",
            around(&forged.replace(
                "<saml:Conditions",
                &format!("<saml:Advice>{signed}</saml:Advice><saml:Conditions"),
            )),
        ),
        ("borrowed signature", around(&into(&forged, &signature))),
        (
            "response inside",
            evil_whole.replace("</samlp:Status>", &format!("</samlp:Status>{}", extensions(&whole))),
        ),
    ] {
        let why = refused(&xml).await;
        assert!(!why.contains("well-formed"), "{name} is no XML: {xml}");
    }
}

#[tokio::test]
async fn one_identifier_names_one_element() {
    let xml = Answer { sign_response: true, ..good() }.xml();
    let doubled = xml.replacen("<samlp:Status>", "<samlp:Status ID=\"_assertion\">", 1);
    assert!(refused(&doubled).await.contains("signature"));
    let unsigned_response = good().xml().replacen("<samlp:Status>", "<samlp:Status ID=\"_assertion\">", 1);
    assert!(refused(&unsigned_response).await.contains("duplicate"));
}

#[tokio::test]
async fn comments_and_entities_never_cut_a_name() {
    let xml = good().xml();
    for (from, to) in [
        ("alice@example.test</saml:NameID>", "alice@example.test<!---->.evil.test</saml:NameID>"),
        ("alice@example.test</saml:NameID>", "alice@<!-- -->example.test</saml:NameID>"),
        (">ml-users<", ">ml-<!-- -->users<"),
        (">ml-users<", "><![CDATA[ml-users]]><"),
        (">ml-users<", ">ml-<?x?>users<"),
        ("<samlp:Response", "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><samlp:Response"),
        ("<samlp:Response", "<!DOCTYPE r><samlp:Response"),
        (">ml-users<", ">&e;<"),
    ] {
        let changed = xml.replacen(from, to, 1);
        assert_ne!(changed, xml, "{from}");
        let why = refused(&changed).await;
        assert!(!why.contains("signature"), "refused before any cryptography: {why}");
    }
}

#[tokio::test]
async fn size_and_nesting_are_bounded_and_base64_is_strict() {
    let padded =
        good().xml().replacen("<samlp:Status>", &format!("<samlp:Status>{}", " ".repeat(256 * 1024)), 1);
    assert!(refused(&padded).await.contains("too long"));
    let deep = good().around(&("<a>".repeat(40) + &"</a>".repeat(40)));
    assert!(refused(&deep).await.contains("nested"));
    let many = good().around(&"<a/>".repeat(10_001));
    assert!(refused(&many).await.contains("too many"));
    let service = Service::open(|_| ());
    let party = &service.party;
    let encoded = STANDARD.encode(good().xml());
    for wrong in [
        String::new(),
        "%%%".to_owned(),
        format!(" {encoded}"),
        format!("{encoded}="),
        encoded.replace('=', "") + "\0",
        format!("{}-_", &encoded[..100]),
        STANDARD.encode([0xff, 0xfe, 0]),
        STANDARD.encode("<html>not found</html>"),
        "A".repeat(400_000),
    ] {
        assert!(matches!(party.receive(&wrong).await, Err(ProviderError::Invalid(_))), "{wrong:.80}");
    }
    let wrapped: Vec<String> =
        encoded.as_bytes().chunks(76).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    assert!(party.receive(&wrapped.join("\r\n")).await.is_ok());
}

/// Without its first signature.
fn strip(xml: &str) -> String {
    xml.replacen(&signature_of(xml), "", 1)
}

fn signature_of(xml: &str) -> String {
    let start = xml.find("<ds:Signature ").unwrap();
    let end = xml.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    xml[start..end].to_owned()
}
