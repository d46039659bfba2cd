//! `[anomalies]`: what is unusual, and what follows from it.

use std::time::Duration;

use toml::de::DeValue;

use crate::{
    config::gateway::{
        reader::{Report, Table, Value},
        value,
    },
    gateway::audit::anomalies::{Answer, Config, Rule, RuleConfig},
};

const ANSWERS: [(&str, Answer); 4] = [
    ("off", Answer::Off),
    ("notify", Answer::Notify),
    ("require_approval", Answer::RequireApproval),
    ("suspend", Answer::Suspend),
];

/// The scores that make sense for each rule.
const SCORES: std::ops::RangeInclusive<f64> = 1.0..=1_000.0;

/// Reads `[anomalies]`.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Config {
    let mut table = root.section("anomalies", report);
    let day = Duration::from_hours(24);
    let mut config = Config::default();
    let warm_up =
        table.read("warm_up", report, |value, report| value::duration(value, day..=day * 90, report));
    let cool_down = table.read("cool_down", report, |value, report| {
        value::duration(value, Duration::from_mins(10)..=day * 7, report)
    });
    let hold = table.read("hold", report, |value, report| {
        value::duration(value, Duration::from_mins(1)..=day * 30, report)
    });
    config.warm_up = warm_up.unwrap_or(config.warm_up);
    config.cool_down = cool_down.unwrap_or(config.cool_down);
    config.hold = hold.unwrap_or(config.hold);
    let usual = table.read("answer", report, |value, report| value.one_of(&ANSWERS, report));
    for rule in Rule::ALL {
        let default = RuleConfig { answer: usual.unwrap_or(Answer::Notify), ..RuleConfig::of(rule) };
        let read = table.read(rule.name(), report, |value, report| of_rule(value, default, report));
        config.rules.insert(rule, read.unwrap_or(default));
    }
    table.finish(report);
    config
}

fn of_rule(value: &Value<'_>, default: RuleConfig, report: &mut Report) -> Option<RuleConfig> {
    let mut table = value.table(report)?;
    let answer = table.read("answer", report, |value, report| value.one_of(&ANSWERS, report));
    let score = table.read("score", report, score);
    let least = match default.least {
        // The rule counts nothing.
        0 => None,
        _ => table.read("least", report, value::count),
    };
    table.finish(report);
    Some(RuleConfig {
        answer: answer.unwrap_or(default.answer),
        score: score.unwrap_or(default.score),
        least: least.unwrap_or(default.least),
    })
}

fn score(value: &Value<'_>, report: &mut Report) -> Option<f64> {
    let written = match value.raw() {
        DeValue::Integer(number) => number.as_str().replace('_', "").parse().ok(),
        DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
        _ => {
            value.wrong_type("a number", report);
            return None;
        }
    };
    let score = written.filter(|score| SCORES.contains(score));
    if score.is_none() {
        let remedy = format!("write a number from {} to {}", SCORES.start(), SCORES.end());
        value.wrong("out of bounds", &remedy, report);
    }
    score
}
