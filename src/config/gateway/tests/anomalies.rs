//! `[anomalies]` as the documentation writes it, and as it is when nothing is said.

use std::time::Duration;

use super::{BASE, UPSTREAM, folder, good};
use crate::gateway::audit::anomalies::{Answer, Config, Rule, RuleConfig};

#[test]
fn nothing_said_is_the_default() {
    let dir = folder();
    assert_eq!(good(&dir, &format!("{BASE}{UPSTREAM}")).anomalies, Config::default());
}

#[test]
fn the_documentations_settings_say_what_they_mean() {
    let dir = folder();
    let page = include_str!("../../../../docs/anomalies.md");
    let block = page.split("```toml\n").nth(1).and_then(|block| block.split("```").next()).unwrap();
    let config = good(&dir, &format!("{BASE}{block}")).anomalies;
    assert_eq!((config.warm_up, config.cool_down), (Duration::from_hours(168), Duration::from_hours(4)));
    assert_eq!(config.hold, Duration::from_hours(24));
    let rule = |rule| config.rule(rule);
    assert_eq!(rule(Rule::Hour), RuleConfig::of(Rule::Hour));
    assert_eq!(rule(Rule::Network), RuleConfig { answer: Answer::Off, ..RuleConfig::of(Rule::Network) });
    assert_eq!(rule(Rule::Denials), RuleConfig { least: 30, ..RuleConfig::of(Rule::Denials) });
    assert_eq!((rule(Rule::Volume).score, rule(Rule::Volume).least), (5.0, 10_000_000));
    assert_eq!(rule(Rule::Extraction).answer, Answer::RequireApproval);
    assert_eq!((rule(Rule::Rate).answer, rule(Rule::Rate).score), (Answer::Suspend, 6.0));
}

#[test]
fn an_answer_for_all_is_that_of_each_rule_without_its_own() {
    let dir = folder();
    let text = format!(
        "{BASE}[anomalies]\nanswer = \"off\"\nrate = {{ answer = \"notify\" }}\nhour = {{ score = 3 }}\n"
    );
    let config = good(&dir, &text).anomalies;
    let answers = Rule::ALL.map(|rule| config.rule(rule).answer == Answer::Off);
    assert_eq!(answers, [false, true, true, true, true, true, true, true]);
    assert_eq!(config.rule(Rule::Hour).score, 3.0);
}

#[test]
fn the_documentation_has_the_default_of_every_rule() {
    let page = include_str!("../../../../docs/anomalies.md");
    for rule in Rule::ALL {
        assert!(page.contains(&format!("\n| `{}` |", rule.name())), "{rule:?}");
    }
}
