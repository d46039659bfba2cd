//! What policies answer.

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::tunnel::Transport;

const DESIGN: &str = r#"
@id("ml-team") permit(principal in Group::"ml-engineers", action in [Action::"list", Action::"invoke"], resource)
  unless { resource.hasTag("risk") && resource.getTag("risk") == "high" };
@id("fraud-jit") @approvers("risk-leads") @lasts("1h")
permit(principal in Group::"ml-engineers", action == Action::"invoke", resource == Model::"fraud-detector") when { context.approved };
"#;

const EVERYTHING: Reads =
    Reads { source_ip: true, now: true, method: true, path: true, requested_model: true };

fn facts(name: &str, labels: &[(&str, &str)]) -> ModelFacts {
    ModelFacts {
        name: name.to_owned(),
        dialect: "openai".to_owned(),
        tls: "required".to_owned(),
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    }
}

fn models() -> Vec<ModelFacts> {
    vec![facts("gpt", &[("data", "public")]), facts("fraud-detector", &[("risk", "high")])]
}

fn policies(text: &str) -> Policies {
    match Policies::parse(&[(PathBuf::from("p.cedar"), text.to_owned())], &models()) {
        Ok(policies) => policies,
        Err(mistakes) => panic!("{mistakes:#?}"),
    }
}

fn caller(groups: &[&str]) -> Caller {
    Caller {
        subject: "42".to_owned(),
        email: Some("alice@example.test".to_owned()),
        name: Some("Alice".to_owned()),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        provider: "corp".to_owned(),
        workload: false,
        session: "s".to_owned(),
    }
}

fn question<'a>(caller: &'a Caller, action: Action, resource: Resource<'a>) -> Question<'a> {
    Question {
        caller,
        action,
        resource,
        context: Context {
            transport: Some(Transport::Quic),
            upstream_encrypted: true,
            source_ip: "10.1.2.3".parse().ok(),
            // 2026-11-23T07:15:46Z, a Monday.
            now: clock::from_unix_millis(1_795_418_146_000),
            method: "POST",
            path: "/v1/chat/completions",
            requested_model: Some("gpt-mini"),
        },
    }
}

fn decide(policies: &Policies, groups: &[&str], action: Action, model: &str) -> Verdict {
    let caller = caller(groups);
    policies.decide(&question(&caller, action, Resource::Model(model)), false)
}

#[test]
fn the_documented_policies_behave_as_written() {
    let policies = policies(DESIGN);
    let ml = ["ml-engineers"];
    for (groups, action, model, outcome, ids) in [
        (&ml[..], Action::Invoke, "gpt", Outcome::Permit, &["ml-team"][..]),
        (&ml, Action::List, "gpt", Outcome::Permit, &["ml-team"]),
        (&ml, Action::Invoke, "fraud-detector", Outcome::Ask, &["fraud-jit"]),
        (&ml, Action::List, "fraud-detector", Outcome::Deny, &[]),
        (&ml, Action::Replay, "gpt", Outcome::Deny, &[]),
        (&["sales"], Action::Invoke, "gpt", Outcome::Deny, &[]),
        (&[], Action::Invoke, "gpt", Outcome::Deny, &[]),
    ] {
        let verdict = decide(&policies, groups, action, model);
        assert_eq!(verdict.outcome, outcome, "{groups:?} {action:?} {model}");
        assert_eq!(verdict.policies, ids, "{groups:?} {action:?} {model}");
        assert_eq!(verdict.missing.is_none(), outcome == Outcome::Permit);
    }
}

#[test]
fn an_ask_names_its_approvers_and_ends_with_the_approval() {
    let policies = policies(DESIGN);
    let ask = decide(&policies, &["ml-engineers"], Action::Invoke, "fraud-detector");
    assert_eq!(ask.approvers(), ["risk-leads"]);
    assert_eq!((ask.terms[0].lasts, ask.terms[0].needed), (Duration::from_hours(1), 1));
    assert_eq!(ask.missing.unwrap(), "an approval by a member of `risk-leads`");

    let caller = caller(&["ml-engineers"]);
    let question = question(&caller, Action::Invoke, Resource::Model("fraud-detector"));
    assert_eq!(policies.decide(&question, true).outcome, Outcome::Permit);
    assert_eq!(policies.authorize(&question, false).unwrap_err().outcome, Outcome::Ask);
    let permit = policies.authorize(&question, true).unwrap();
    assert_eq!((permit.model(), permit.policies()), ("fraud-detector", &["fraud-jit".to_owned()][..]));
}

#[test]
fn only_an_invoke_can_be_an_ask() {
    let policies = policies(
        r#"@id("any") permit(principal in Group::"a", action, resource) when { context.approved };"#,
    );
    for action in Action::ALL {
        let expected = if action == Action::Invoke { Outcome::Ask } else { Outcome::Deny };
        assert_eq!(decide(&policies, &["a"], action, "gpt").outcome, expected, "{action:?}");
    }
}

#[test]
fn authorize_decides_an_invoke_of_a_model_and_nothing_else() {
    let policies = policies(
        r#"permit(principal, action == Action::"list", resource);
        permit(principal, action == Action::"administer", resource);"#,
    );
    let caller = caller(&[]);
    let listed = question(&caller, Action::List, Resource::Model("gpt"));
    assert_eq!(policies.decide(&listed, false).outcome, Outcome::Permit);
    assert_eq!(policies.authorize(&listed, false).unwrap_err().outcome, Outcome::Deny);
    let gateway = question(&caller, Action::Administer, Resource::Gateway);
    assert_eq!(policies.decide(&gateway, false).outcome, Outcome::Permit);
    assert_eq!(policies.authorize(&gateway, false).unwrap_err().outcome, Outcome::Deny);
}

#[test]
fn who_sees_answers_unmasked_is_a_question_of_its_own() {
    let policies = policies(
        r#"
        @id("use") permit(principal, action == Action::"invoke", resource);
        @id("desk") permit(principal in Group::"desk", action == Action::"unmask", resource == Model::"gpt");
        @id("once") permit(principal in Group::"leads", action == Action::"unmask", resource) when { context.approved };
        @id("all") permit(principal in Group::"admins", action, resource);
        @id("inside") forbid(principal, action == Action::"unmask", resource)
          unless { context.source_ip.isInRange(ip("10.0.0.0/8")) };
        "#,
    );
    let unmasks = |groups: &[&str], model: &str, approved| {
        let caller = caller(groups);
        policies.unmasks(&question(&caller, Action::Invoke, Resource::Model(model)), approved)
    };
    let by = |ids: &[&str]| Some(ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(unmasks(&[], "gpt", false), None, "a permit to invoke is none to unmask");
    assert_eq!(unmasks(&["desk"], "gpt", false), by(&["desk"]));
    assert_eq!(unmasks(&["desk"], "fraud-detector", true), None);
    assert_eq!(unmasks(&["leads"], "gpt", false), None);
    assert_eq!(unmasks(&["leads"], "gpt", true), by(&["once"]));
    assert_eq!(unmasks(&["admins"], "gpt", false), None, "whoever may do anything may not do this");
    assert_eq!(unmasks(&["admins", "desk"], "gpt", false), by(&["desk"]));
    assert_eq!(unmasks(&["admins"], "unknown", false), None);

    let caller = caller(&["desk"]);
    let mut outside = question(&caller, Action::Invoke, Resource::Model("gpt"));
    outside.context.source_ip = "192.0.2.1".parse().ok();
    assert_eq!(policies.unmasks(&outside, false), None, "a forbid wins");
}

#[test]
fn a_forbid_of_unmask_that_cannot_be_evaluated_leaves_the_mask_on() {
    let policies = policies(
        r#"permit(principal, action, resource);
        forbid(principal, action == Action::"unmask", resource) when { 9223372036854775807 + 1 == 0 };"#,
    );
    let caller = caller(&[]);
    assert_eq!(policies.unmasks(&question(&caller, Action::Invoke, Resource::Model("gpt")), false), None);
}

#[test]
fn a_forbid_wins_over_permits_and_approvals() {
    let policies = policies(
        r#"@id("all") permit(principal, action, resource);
           @id("jit") permit(principal, action, resource) when { context.approved };
           @id("not-bob") forbid(principal, action == Action::"invoke", resource) when { principal.subject == "42" };"#,
    );
    let verdict = decide(&policies, &["a"], Action::Invoke, "gpt");
    assert_eq!((verdict.outcome, verdict.policies), (Outcome::Deny, vec!["not-bob".to_owned()]));
    assert_eq!(verdict.missing.unwrap(), "invoke on model `gpt` is forbidden by `not-bob`");
    assert_eq!(decide(&policies, &["a"], Action::List, "gpt").outcome, Outcome::Permit);
}

#[test]
fn a_forbid_that_only_an_approval_lifts_makes_an_ask() {
    let policies = policies(
        r#"@id("all") permit(principal, action, resource);
           @id("risky") forbid(principal, action == Action::"invoke", resource)
             when { resource.hasTag("risk") } unless { context.approved };"#,
    );
    let verdict = decide(&policies, &[], Action::Invoke, "fraud-detector");
    assert_eq!((verdict.outcome, verdict.policies), (Outcome::Ask, vec!["all".to_owned()]));
}

#[test]
fn a_forbid_that_cannot_be_evaluated_forbids_and_such_a_permit_does_not_permit() {
    let overflow = "context.now.toDate().durationSince(datetime(\"1970-01-01\")).toMilliseconds() * 9000000000 * 9000000000 > 0";
    let policies = policies(&format!(
        r#"@id("all") permit(principal, action == Action::"list", resource);
           @id("broken") forbid(principal, action == Action::"list", resource) when {{ {overflow} }};
           @id("broken-too") permit(principal, action == Action::"invoke", resource) when {{ {overflow} }};"#,
    ));
    let listed = decide(&policies, &[], Action::List, "gpt");
    assert_eq!((listed.outcome, listed.policies), (Outcome::Deny, vec!["broken".to_owned()]));
    assert_eq!(decide(&policies, &[], Action::Invoke, "gpt").outcome, Outcome::Deny);
}

#[test]
fn every_circumstance_can_be_read() {
    let holds = |condition: &str| {
        let policies = policies(&format!("permit(principal, action, resource) when {{ {condition} }};"));
        decide(&policies, &["a"], Action::List, "gpt").outcome == Outcome::Permit
    };
    for condition in [
        r#"context.transport == "quic""#,
        "context.upstream_encrypted",
        "!context.approved",
        r#"context.source_ip.isInRange(ip("10.0.0.0/8"))"#,
        r#"context.now > datetime("2026-11-23T07:15:45Z") && context.now < datetime("2026-11-23T07:15:47Z")"#,
        r#"context.now.toTime() >= duration("7h")"#,
        r#"context.method == "POST""#,
        r#"context.path like "/v1/*""#,
        r#"context.requested_model == "gpt-mini""#,
        r#"principal == User::"alice@example.test""#,
        r#"principal has email && principal.email like "*@example.test""#,
        r#"principal has name && principal.name == "Alice""#,
        r#"principal.subject == "42" && principal.provider == "corp" && !principal.workload"#,
        r#"principal in Group::"a" && !(principal in Group::"b")"#,
        r#"principal in [Group::"b", Group::"a"]"#,
        r#"resource.name == "gpt" && resource.dialect == "openai" && resource.tls == "required""#,
        r#"resource.hasTag("data") && resource.getTag("data") == "public" && !resource.hasTag("risk")"#,
        r#"resource == Model::"gpt""#,
    ] {
        assert!(holds(condition), "{condition}");
        assert!(!holds(&format!("!({condition})")), "not {condition}");
    }
}

#[test]
fn an_ipv4_address_in_ipv6_clothing_is_in_its_ipv4_range() {
    let policies = policies(
        r#"permit(principal, action, resource); forbid(principal, action, resource) when { context.source_ip.isInRange(ip("10.0.0.0/8")) };"#,
    );
    let caller = caller(&[]);
    for (address, outcome) in [
        (Some("::ffff:10.1.2.3"), Outcome::Deny),
        (Some("10.1.2.3"), Outcome::Deny),
        (Some("2001:db8::1"), Outcome::Permit),
        (None, Outcome::Permit),
    ] {
        let mut question = question(&caller, Action::List, Resource::Model("gpt"));
        question.context.source_ip = address.and_then(|a| a.parse().ok());
        assert_eq!(policies.decide(&question, false).outcome, outcome, "{address:?}");
    }
}

#[test]
fn absent_circumstances_are_empty_not_missing() {
    let policies = policies(
        r#"permit(principal, action, resource) when { context.transport == "" && context.method == "" && context.path == ""
             && context.requested_model == "" && context.source_ip == ip("0.0.0.0") };"#,
    );
    let caller = caller(&[]);
    let mut question = question(&caller, Action::List, Resource::Model("gpt"));
    question.context = Context {
        transport: None,
        upstream_encrypted: false,
        source_ip: None,
        now: std::time::UNIX_EPOCH,
        method: "",
        path: "",
        requested_model: None,
    };
    assert_eq!(policies.decide(&question, false).outcome, Outcome::Permit);
}

#[test]
fn names_are_values_never_syntax() {
    for group in ["a\" || true", "line\nbreak", "Équipe données", "日本", "", "\\", "\u{202e}x", "a,b"] {
        let source = format!(
            "permit(principal in Group::\"{}\", action, resource);",
            group.escape_debug().to_string().replace("\\'", "'")
        );
        let policies = policies(&source);
        assert_eq!(decide(&policies, &[group], Action::List, "gpt").outcome, Outcome::Permit, "{group:?}");
        assert_eq!(decide(&policies, &["other"], Action::List, "gpt").outcome, Outcome::Deny, "{group:?}");
    }
}

#[test]
fn a_group_and_a_user_of_one_name_are_two() {
    let policies = policies(r#"permit(principal in Group::"alice@example.test", action, resource);"#);
    assert_eq!(decide(&policies, &[], Action::List, "gpt").outcome, Outcome::Deny);
}

#[test]
fn a_model_that_is_not_configured_is_denied() {
    let policies = policies("permit(principal, action, resource);");
    let verdict = decide(&policies, &[], Action::Invoke, "gpt\u{1b}[2J");
    assert_eq!(verdict.outcome, Outcome::Deny);
    assert_eq!(verdict.missing.unwrap(), "model `gpt\\u{1b}[2J` is not configured");
}

#[test]
fn a_denial_says_what_is_missing() {
    let policies = policies(
        r#"@id("ml") permit(principal in Group::"ml", action == Action::"invoke", resource);
           @id("night") permit(principal, action == Action::"invoke", resource == Model::"gpt") when { context.now.toTime() < duration("5h") };"#,
    );
    let missing = |groups: &[&str], model| decide(&policies, groups, Action::Invoke, model).missing.unwrap();
    assert_eq!(
        missing(&["a", "b"], "gpt"),
        "no policy permits invoke on model `gpt` for `alice@example.test` with groups `a`, `b`; \
         `night` has conditions that do not hold; `ml` is for group `ml`"
    );
    assert_eq!(
        missing(&[], "fraud-detector"),
        "no policy permits invoke on model `fraud-detector` for `alice@example.test`, who has no groups; `ml` is for group `ml`"
    );
}

#[test]
fn no_policies_deny_everything_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let policies = Policies::load(dir.path(), &models()).unwrap();
    assert!(policies.is_empty());
    assert!(policies.warnings().iter().any(|w| w.message.contains("no policy")), "{:?}", policies.warnings());
    assert_eq!(decide(&policies, &["a"], Action::Invoke, "gpt").outcome, Outcome::Deny);
}

#[test]
fn what_is_asked_conforms_to_the_schema() {
    let schema = vocabulary::VALIDATOR.schema();
    let policies = policies("permit(principal, action, resource);");
    for anonymous in [false, true] {
        let mut caller = caller(&["a"]);
        if anonymous {
            (caller.email, caller.name) = (None, None);
        }
        for (uid, base) in policies.models.values().chain([&policies.gateway]) {
            let question = question(&caller, Action::Replay, Resource::Gateway);
            let asking = Asking::prepare(&question, uid, base).unwrap();
            Entities::from_entities(asking.entities.iter().cloned(), Some(schema)).unwrap();
            let request = asking.request(true, EVERYTHING).unwrap();
            let action = vocabulary::action(Action::Replay);
            request.context().unwrap().validate(schema, &action).unwrap();
        }
    }
}

/// A policy of random scope and condition.
fn any_policy() -> impl Strategy<Value = String> {
    let principal = prop_oneof![
        Just("principal".to_owned()),
        Just("principal is User".to_owned()),
        (0..4).prop_map(|g| format!("principal in Group::\"g{g}\"")),
        (0..4).prop_map(|g| format!("principal is User in Group::\"g{g}\"")),
        Just("principal == User::\"alice@example.test\"".to_owned()),
        Just("principal in User::\"alice@example.test\"".to_owned()),
        Just("principal == User::\"bob@example.test\"".to_owned()),
    ];
    let action = prop_oneof![
        Just("action"),
        Just("action == Action::\"invoke\""),
        Just("action == Action::\"list\""),
        Just("action in [Action::\"list\", Action::\"replay\"]"),
        Just("action in [Action::\"invoke\", Action::\"list\"]"),
    ];
    let resource = prop_oneof![
        Just("resource"),
        Just("resource is Model"),
        Just("resource == Model::\"gpt\""),
        Just("resource in Model::\"fraud-detector\""),
        Just("resource is Model in Model::\"gpt\""),
    ];
    let condition = prop_oneof![
        4 => Just(""),
        2 => Just(" when { context.approved }"),
        1 => Just(" unless { resource.hasTag(\"risk\") }"),
        1 => Just(" when { principal in Group::\"g1\" }"),
    ];
    (0..5_u8, principal, action, resource, condition).prop_map(
        |(effect, principal, action, resource, condition)| {
            let effect = if effect == 0 { "forbid" } else { "permit" };
            format!("{effect}({principal}, {action}, {resource}){condition};")
        },
    )
}

/// The answer of Cedar over all policies at once.
fn whole(policies: &Policies, set: &PolicySet, question: &Question<'_>, approved: bool) -> Answer {
    let Resource::Model(model) = question.resource else { panic!("a model") };
    let (uid, base) = &policies.models[model];
    let asking = Asking::prepare(question, uid, base).unwrap();
    let mut answer = Answer::default();
    answer.add(&policies.authorizer, &asking.request(approved, EVERYTHING).unwrap(), set, &asking.entities);
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_layout_by_scope_changes_no_decision(
        sources in proptest::collection::vec(any_policy(), 0..12),
        groups in proptest::collection::vec(0..4, 0..3),
    ) {
        let text: String = sources.iter().enumerate().map(|(n, p)| format!("@id(\"p{n}\") {p}\n")).collect();
        let policies = policies(&text);
        let mut set = PolicySet::new();
        for (n, source) in sources.iter().enumerate() {
            set.add(Policy::parse(Some(cedar_policy::PolicyId::new(format!("p{n}"))), source).unwrap()).unwrap();
        }
        let groups: Vec<String> = groups.into_iter().map(|g| format!("g{g}")).collect();
        let caller = Caller { groups, ..caller(&[]) };
        for action in [Action::List, Action::Invoke, Action::Replay] {
            for model in ["gpt", "fraud-detector"] {
                for approved in [false, true] {
                    let question = question(&caller, action, Resource::Model(model));
                    let ours = policies.decide(&question, approved);
                    let expected = whole(&policies, &set, &question, approved);
                    prop_assert_eq!(ours.outcome == Outcome::Permit, expected.permitted());
                    let ids: Vec<String> = match ours.outcome {
                        Outcome::Permit => expected.permits.into_iter().collect(),
                        Outcome::Deny if !expected.forbids.is_empty() => expected.forbids.into_iter().collect(),
                        _ => continue,
                    };
                    prop_assert_eq!(ours.policies, ids);
                }
            }
        }
    }
}

/// A condition over one circumstance, or over none.
fn any_condition() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => Just(""),
        1 => Just(" when { context.approved }"),
        1 => Just(" when { context.transport == \"quic\" }"),
        1 => Just(" when { context.upstream_encrypted }"),
        1 => Just(" when { context.method == \"GET\" }"),
        1 => Just(" when { context.path like \"/v1/*\" }"),
        1 => Just(" when { context has requested_model && context.requested_model == \"gpt-mini\" }"),
        1 => Just(" when { context.source_ip.isInRange(ip(\"10.0.0.0/8\")) }"),
        1 => Just(" when { context.now < datetime(\"2026-11-23T07:15:46Z\") }"),
        1 => Just(" when { principal has name && principal.name == \"Alice\" }"),
        1 => Just(" when { principal.workload }"),
    ]
}

/// Who asks, and how: the parts that a question varies by.
type Varied = ((u8, u8, bool, bool), (bool, bool, bool, bool, bool, u8, bool));

fn any_question() -> impl Strategy<Value = Varied> {
    let caller = (0..4_u8, 0..3_u8, any::<bool>(), any::<bool>());
    let flag = any::<bool>;
    (caller, (flag(), flag(), flag(), flag(), flag(), 0..3_u8, flag()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One set of policies is asked many different questions, most of them more than once: what it remembers of one must never answer
    /// another.
    #[test]
    fn what_is_remembered_is_what_an_evaluation_would_say(
        sources in proptest::collection::vec((any_policy(), any_condition()), 0..8),
        questions in proptest::collection::vec(any_question(), 1..40),
    ) {
        let text: String = sources
            .iter()
            .enumerate()
            .map(|(n, (policy, condition))| {
                let scope = policy.trim_end_matches(';');
                let condition = if scope.ends_with('}') { "" } else { condition };
                format!("@id(\"p{n}\") {scope}{condition};\n")
            })
            .collect();
        let policies = policies(&text);
        for ((groups, who, named, workload), (quic, encrypted, get, v1, inside, when, approved)) in questions {
            let caller = Caller {
                subject: format!("s{who}"),
                email: (who == 1).then(|| "alice@example.test".to_owned()),
                name: named.then(|| "Alice".to_owned()),
                groups: (0..groups).map(|g| format!("g{g}")).collect(),
                workload,
                ..caller(&[])
            };
            for (action, model) in [(Action::Invoke, "gpt"), (Action::List, "fraud-detector")] {
                let mut question = question(&caller, action, Resource::Model(model));
                question.context.transport = Some(if quic { Transport::Quic } else { Transport::Tcp });
                question.context.upstream_encrypted = encrypted;
                question.context.method = if get { "GET" } else { "POST" };
                question.context.path = if v1 { "/v1/x" } else { "/x" };
                question.context.source_ip = (if inside { "10.0.0.1" } else { "192.0.2.1" }).parse().ok();
                question.context.requested_model = v1.then_some("gpt-mini");
                question.context.now = clock::from_unix_millis(1_795_418_145_000 + 1_000 * i64::from(when));
                let (uid, base) = &policies.models[model];
                let afresh = policies.judge(&question, approved, uid, base);
                prop_assert_eq!(&policies.decide(&question, approved), &afresh);
                prop_assert_eq!(&policies.decide(&question, approved), &afresh, "remembered");
            }
        }
    }
}

#[test]
fn only_what_does_not_change_with_every_request_is_remembered() {
    let caller = caller(&["a"]);
    for (condition, remembered) in [
        ("true", 1),
        ("context.source_ip.isInRange(ip(\"10.0.0.0/8\"))", 1),
        ("context.method == \"POST\"", 1),
        ("context.now > datetime(\"2026-01-01\")", 0),
        ("context.path like \"/v1/*\"", 0),
        ("context.requested_model == \"gpt-mini\"", 0),
    ] {
        let policies = policies(&format!("permit(principal, action, resource) when {{ {condition} }};"));
        for _ in 0..2 {
            let asked = question(&caller, Action::Invoke, Resource::Model("gpt"));
            assert_eq!(policies.decide(&asked, false).outcome, Outcome::Permit, "{condition}");
        }
        assert_eq!(policies.remembered.len(), remembered, "{condition}");
    }
}

#[test]
fn of_a_thousand_scoped_policies_a_decision_evaluates_a_handful() {
    let text: String = (0..1_000)
        .map(|n| format!("@id(\"p{n}\") permit(principal in Group::\"g{n}\", action == Action::\"invoke\", resource);\n"))
        .collect();
    let policies = policies(&text);
    let caller = caller(&["g7", "g500", "other"]);
    let question = question(&caller, Action::Invoke, Resource::Model("gpt"));
    assert_eq!(policies.decide(&question, false).policies, ["p500", "p7"]);
    let (uid, base) = &policies.models["gpt"];
    let asking = Asking::prepare(&question, uid, base).unwrap();
    let evaluated: usize = asking
        .table(&policies.index)
        .matching(std::iter::once(uid))
        .flat_map(|shelf| shelf.sets.matching(asking.principals.iter()))
        .map(|slice| slice.set.num_of_policies())
        .sum();
    assert_eq!(evaluated, 2);
}

#[test]
fn the_deepest_policies_that_load_are_also_decided() {
    let lone = "!context.approved";
    for (open, close, times) in [
        ("(", ")", 31),
        ("if context.approved then false else ", "", 31),
        ("!(context.approved) && ", "", 32),
    ] {
        let condition = format!("{}{lone}{}", open.repeat(times), close.repeat(times));
        let policies = policies(&format!("permit(principal, action, resource) when {{ {condition} }};"));
        assert_eq!(decide(&policies, &[], Action::List, "gpt").outcome, Outcome::Permit, "{open}");
    }
}

#[test]
fn labels_and_facts_of_the_gateway_are_those_of_no_model() {
    let policies =
        policies(r#"permit(principal, action == Action::"administer", resource == Gateway::"gateway");"#);
    let caller = caller(&[]);
    let gateway = question(&caller, Action::Administer, Resource::Gateway);
    assert_eq!(policies.decide(&gateway, false).outcome, Outcome::Permit);
    assert_eq!(decide(&policies, &[], Action::Administer, "gpt").outcome, Outcome::Deny);
    assert_eq!(gateway_facts().labels, BTreeMap::new());
}

#[test]
fn the_policies_of_the_documentation_load() {
    let pages = [include_str!("../../../../docs/policies.md"), include_str!("../../../../docs/masking.md")];
    let blocks = pages.map(|page| {
        page.split("```cedar\n").skip(1).filter_map(|block| block.split("```").next()).collect::<Vec<_>>()
    });
    assert_eq!(blocks.each_ref().map(Vec::len), [3, 1]);
    let blocks = blocks.concat();
    for block in &blocks {
        policies(block);
    }
    let first = policies(blocks[0]);
    assert_eq!(decide(&first, &["ml-engineers"], Action::Invoke, "fraud-detector").outcome, Outcome::Ask);
    assert_eq!(decide(&first, &["ml-engineers"], Action::List, "fraud-detector").outcome, Outcome::Permit);
}
