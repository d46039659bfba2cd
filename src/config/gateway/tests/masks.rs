//! What `mask` and `[[entity]]` say.

use std::sync::Arc;

use super::*;
use crate::gateway::mask;

fn masked(text: &str) -> mask::Config {
    good(&folder(), &format!("{BASE}{UPSTREAM}{text}")).models.remove(0).mask.unwrap()
}

/// What stands in place of `text`.
fn replaced(config: &mask::Config, text: &str) -> String {
    let key = Arc::new(mask::Key::new(&[7; 32]));
    mask::Masking::new(Arc::clone(&config.rules), Arc::clone(&config.fields), key).text(text)
}

#[test]
fn a_mask_without_more_is_every_built_in_entity_as_labels() {
    let config = masked("mask = {}\n");
    assert_eq!(replaced(&config, "Mail alice@example.com"), "Mail [EMAIL]");
    assert!(config.fields.is_empty() && !config.request);
    assert_eq!(config.unknown, mask::Unknown::Refuse);
    assert!(good(&folder(), &format!("{BASE}{UPSTREAM}")).models[0].mask.is_none());
}

#[test]
fn every_key_of_a_mask_is_taken() {
    let config = masked(
        r#"mask = { entities = ["Network", "EMPLOYEE_ID"], fields = ["$.customer.ssn", "$.p[*]"], style = "partial", request = true, unknown = "pass" }
[[entity]]
name = "EMPLOYEE_ID"
pattern = "E[0-9]{6}"
"#,
    );
    assert_eq!(replaced(&config, "E123456 a@example.com 198.51.100.7"), "******* a@example.com ***.**.**0.7");
    let fields = ["$.customer.ssn", "$.p[*]"].map(|rule| mask::Field::parse(rule).unwrap());
    assert_eq!(config.fields[..], fields);
    assert!(config.request);
    assert_eq!(config.unknown, mask::Unknown::Pass);
}

#[test]
fn an_analyser_is_taken_with_what_is_usual() {
    let analyser = |text: &str| {
        masked(&format!("mask = {{ entities = [], analyser = {{ {text} }} }}\n")).analyser.unwrap()
    };
    let usual = analyser("url = \"http://127.0.0.1:5002\"");
    assert_eq!(usual.url.as_str(), "http://127.0.0.1:5002/");
    assert_eq!(usual.entities, ["PERSON", "LOCATION"]);
    assert_eq!((usual.score, usual.timeout, usual.language.as_str()), (0.5, Duration::from_secs(2), "en"));
    let all = analyser(
        "url = \"https://pii.example.com/v1\", entities = [\"NRP\"], score = 1, timeout = \"500ms\", language = \"de\"",
    );
    assert_eq!((all.score, all.timeout, all.language.as_str()), (1.0, Duration::from_millis(500), "de"));
    assert_eq!(all.entities, ["NRP"]);
    assert!(masked("mask = {}\n").analyser.is_none(), "off unless it is named");
}

#[test]
fn fields_alone_are_a_mask() {
    let config = masked("mask = { entities = [], fields = [\"$.ssn\"] }\n");
    assert_eq!(replaced(&config, "Mail alice@example.com"), "Mail alice@example.com");
    assert_eq!(config.fields.len(), 1);
}

#[test]
fn what_weakens_or_never_applies_is_worth_a_look() {
    let dir = folder();
    let identity =
        "[[identity]]\nkind = \"service\"\naccounts = [{ name = \"a\", secret = { file = \"secret\" } }]\n";
    let warnings = |text: &str| {
        let checked = checked(&dir, &format!("{BASE}{UPSTREAM}{text}{identity}"));
        assert_eq!(checked.mistakes, [], "{text}");
        checked.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let passing = warnings("mask = { unknown = \"pass\" }\n");
    assert!(passing.len() == 1 && passing[0].contains("gateway.toml:5:20: answers"), "{passing:?}");
    let entity = "[[entity]]\nname = \"E_ID\"\npattern = \"E[0-9]{6}\"\n";
    let unused = warnings(&format!("mask = {{}}\n{entity}"));
    assert!(
        unused.len() == 1 && unused[0].contains(":7:8: no model masks the [[entity]] `E_ID`"),
        "{unused:?}"
    );
    assert_eq!(warnings(&format!("mask = {{ entities = [\"e_id\"] }}\n{entity}")), Vec::<String>::new());
}
