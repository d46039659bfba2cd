//! Anomalies over a simulated company: quiet weeks raise no alarm, and every labelled attack is found.

#[path = "world/usage.rs"]
mod usage;

use std::time::Duration;

use hoopctl::gateway::audit::anomalies::Config;

#[test]
fn quiet_weeks_raise_no_alarm() {
    for seed in 1..=3 {
        let outcome = usage::quiet(seed, &Config::default());
        assert!(outcome.exchanges > 50_000, "seed {seed}: {} exchanges", outcome.exchanges);
        assert!(outcome.alarms.is_empty(), "seed {seed}: {:#?}", outcome.alarms);
    }
}

#[test]
fn every_attack_is_found_by_its_rules_and_nothing_else_is() {
    let outcome = usage::attacked(7, &Config::default());
    assert_eq!(outcome.attacks.len(), 14);
    for (attack, found) in &outcome.attacks {
        for rule in attack.must {
            assert!(found.contains(rule), "{} is not found by {rule:?}: {attack:?} {found:?}", attack.name);
            let times = found.iter().filter(|one| *one == rule).count();
            assert_eq!(times, 1, "{attack:?} is told once an episode");
        }
    }
    let false_alarms: Vec<_> = outcome.alarms.iter().filter(|(_, _, fair)| !fair).collect();
    assert!(false_alarms.is_empty(), "{false_alarms:#?}");
}

#[test]
fn in_the_warm_up_only_denials_are_told_and_nothing_follows_from_them() {
    let config = Config { warm_up: Duration::from_hours(24 * 365), ..Config::default() };
    let outcome = usage::attacked(7, &config);
    assert_eq!(outcome.alarms.len(), 2, "{:#?}", outcome.alarms);
    assert!(
        outcome.alarms.iter().all(|(alarm, _, fair)| alarm.rule.name() == "denials" && *fair && !alarm.warm)
    );
}
