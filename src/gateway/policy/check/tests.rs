//! What is wrong with policies.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn models() -> Vec<ModelFacts> {
    let model = |name: &str| ModelFacts {
        name: name.to_owned(),
        dialect: "http".to_owned(),
        tls: "required".to_owned(),
        labels: std::collections::BTreeMap::new(),
    };
    vec![model("gpt"), model("fraud-detector")]
}

fn checked(text: &str) -> Checked {
    check(&[(PathBuf::from("team.cedar"), text.to_owned())], &models())
}

/// Text → line, column, part of the message, part of the remedy.
const CASES: &[(&str, usize, usize, &str, &str)] = &[
    (
        "permit(principal, action, resource)\n  when { context.requested_modle == \"x\" };",
        2,
        10,
        "policy `team-1`: attribute `requested_modle` not found",
        "did you mean `requested_model`?",
    ),
    (
        "permit(principal, action, resource) when { resource.tsl == \"x\" };",
        1,
        44,
        "attribute `tsl` not found",
        "`tls`",
    ),
    (
        "permit(principal, action, resource) when { principal.groups == \"x\" };",
        1,
        44,
        "attribute `groups` not found",
        "did you mean",
    ),
    (
        "permit(principal, action, resource)\nwhen { context has requested_modle };",
        1,
        1,
        "policy `team-1` can never apply",
        "misspelt name after `has`",
    ),
    (
        "permit(principal in Grup::\"x\", action, resource);",
        1,
        21,
        "unrecognized entity type `Grup`",
        "`Group`",
    ),
    (
        "permit(principal, action == Action::\"invok\", resource);",
        1,
        29,
        "unrecognized action `Action::\"invok\"`",
        "known actions: list, invoke, approve",
    ),
    (
        "// é\npermit(principal, action, resource == Model::\"gtp\");",
        2,
        39,
        "Model::\"gtp\" is not configured",
        "did you mean `gpt`?",
    ),
    (
        "permit(principal, action, resource) unless { resource == Model::\"qqqqqqqqq\" };",
        1,
        58,
        "is not configured",
        "known: ",
    ),
    (
        "permit(principal, action == Action::\"replay\", resource == Gateway::\"eu\");",
        1,
        59,
        "Gateway::\"eu\" is not configured",
        "Gateway::\"gateway\"",
    ),
    (
        "permit(principal, action, resource) when { Model::\"gpt\".tls == \"x\" };",
        1,
        44,
        "entity literals cannot be dereferenced",
        "attributes and tags of `principal` and `resource`",
    ),
    (
        "permit(principal, action, resource) when { resource.getTag(\"x\") == \"x\" };",
        1,
        44,
        "access to tag",
        "hasTag",
    ),
    (
        "permit(principal, action, resource) when { principal.email == \"x\" };",
        1,
        44,
        "optional attribute `email`",
        "principal has email",
    ),
    (
        "permit(principal, action, resource) when { context.approved == \"x\" };",
        1,
        44,
        "not compatible",
        "`==`",
    ),
    (
        "permit(principal, action, resource) when { context.approved && 1 };",
        1,
        64,
        "expected Bool but saw Long",
        "",
    ),
    (
        "permit(principal, action, resource) when { ip(context.path).isLoopback() };",
        1,
        44,
        "non-literal expressions",
        "",
    ),
    (
        "permit(principal, action, resource)",
        1,
        36,
        "this is not Cedar: unexpected end of input",
        "expected `;`",
    ),
    ("permit(principle, action, resource);", 1, 8, "this is not Cedar: ", ""),
    ("permit(principal == ?principal, action, resource);", 1, 1, "this is a template", "name the principal"),
    (
        "@idd(\"x\")\npermit(principal, action, resource);",
        1,
        1,
        "unknown annotation @idd",
        "did you mean `id`?",
    ),
    ("@id(\"x\") @id(\"y\") permit(principal, action, resource);", 1, 10, "duplicate annotation", ""),
    (
        "@id(\"\") permit(principal, action, resource);",
        1,
        1,
        "@id(\"\") is not usable",
        "1 to 128 characters",
    ),
    ("@id(\"a\\nb\") permit(principal, action, resource);", 1, 1, "is not usable", "control character"),
    (
        "@lasts(\"soon\") permit(principal, action, resource) when { context.approved };",
        1,
        1,
        "@lasts(\"soon\") is not usable",
        "@lasts(\"1h\")",
    ),
    (
        "@approvals_needed(\"0\") permit(principal, action, resource) when { context.approved };",
        1,
        1,
        "@approvals_needed(\"0\") is not usable",
        "1 to 20",
    ),
    (
        "@approvers(\" , \") permit(principal, action, resource) when { context.approved };",
        1,
        1,
        "is not usable",
        "name the groups",
    ),
    (
        "@id(\"j\") @approvers(\"leads\") permit(principal, action, resource);",
        1,
        1,
        "policy `j`: it has @approvers but permits without an approval",
        "context.approved",
    ),
    (
        "@approvers(\"leads\") forbid(principal, action, resource) when { context.approved };",
        1,
        1,
        "is a forbid",
        "move the annotation",
    ),
    (
        "permit(principal, action == Action::\"list\", resource is Gateway);",
        1,
        1,
        "can never apply",
        "an action that its resource does not have",
    ),
    ("forbid(principal, action, resource) when { false };", 1, 1, "can never apply", "remove it"),
    (
        "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") forbid(principal, action, resource);",
        2,
        1,
        "the policy id `a` is already used at team.cedar:1",
        "an @id of its own",
    ),
];

#[test]
fn every_mistake_is_found_with_its_place_and_remedy() {
    for (text, line, column, message, remedy) in CASES {
        let mistakes = checked(text).mistakes;
        let [mistake] = &mistakes[..] else { panic!("{text}\n{mistakes:#?}") };
        assert_eq!((mistake.line, mistake.column), (Some(*line), Some(*column)), "{text}\n{mistake}");
        assert!(mistake.message.contains(message), "{text}\n{mistake}");
        assert!(mistake.remedy.as_deref().unwrap_or_default().contains(remedy), "{text}\n{mistake:?}");
    }
}

#[test]
fn all_mistakes_of_all_files_come_in_one_pass() {
    let sources: Vec<(PathBuf, String)> = CASES
        .iter()
        .enumerate()
        .map(|(n, (text, ..))| (PathBuf::from(format!("{n:02}.cedar")), (*text).to_owned()))
        .collect();
    let mistakes = check(&sources, &models()).mistakes;
    for (path, _) in &sources {
        assert!(mistakes.iter().any(|m| m.file == *path), "{} is missing", path.display());
    }
}

#[test]
fn ids_are_the_annotation_or_file_and_number_and_unique_over_files() {
    let policy = "permit(principal, action, resource);\n";
    let sources = [
        (PathBuf::from("a.cedar"), format!("{policy}@id(\"named\") {policy}{policy}")),
        (PathBuf::from("b.cedar"), policy.to_owned()),
    ];
    let checked = check(&sources, &models());
    let ids: Vec<String> = checked.policies.iter().map(|p| p.id().to_string()).collect();
    assert_eq!(ids, ["a-1", "named", "a-3", "b-1"]);

    let sources = ["a", "b"].map(|name| (PathBuf::from(name), format!("@id(\"named\") {policy}")));
    let mistakes = check(&sources, &models()).mistakes;
    assert!(mistakes[0].message.contains("already used at a:1"), "{mistakes:?}");
}

#[test]
fn look_alike_characters_are_a_warning_not_a_mistake() {
    let checked = checked("permit(principal in Group::\"a\u{202e}bc\", action, resource);");
    assert!(checked.mistakes.is_empty());
    assert!(checked.warnings[0].message.contains("BIDI"), "{:?}", checked.warnings);
}

#[test]
fn ten_policies_in_one_file_keep_their_order() {
    let text: String =
        (1..=12).map(|n| format!("@description(\"{n}\") permit(principal, action, resource);\n")).collect();
    let checked = checked(&text);
    for policy in &checked.policies {
        assert_eq!(format!("team-{}", policy.annotation("description").unwrap()), policy.id().to_string());
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text in "[ -~\\né\"@(){};:=?]{0,80}") {
        checked(&text);
    }

    #[test]
    fn no_cut_of_a_policy_makes_the_check_panic(case in 0..CASES.len(), cut in 0_usize..120) {
        let text = CASES[case].0;
        checked(&text[..text.floor_char_boundary(cut)]);
    }
}

#[test]
fn depth_is_bounded_before_cedar_sees_it() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("if true then true else ", ""), ("true && ", "true"), ("!(", ")")]
    {
        let text = format!(
            "permit(principal, action, resource) when {{ {}true{} }};",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        let mistakes = checked(&text).mistakes;
        assert!(mistakes[0].message.contains("this policy"), "{mistakes:?}");
    }
}
