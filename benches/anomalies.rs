//! Precision and recall of the anomaly rules over a simulated company with labelled attacks, and what an event costs.

use std::time::Instant;

use hoopctl::gateway::audit::anomalies::{Config, Rule};

use crate::usage;

const SEEDS: u64 = 10;

/// Prints a table.
pub fn measure() {
    let config = Config::default();
    let (mut quiet, mut exchanges, began) = (0, 0, Instant::now());
    for seed in 0..SEEDS {
        let outcome = usage::quiet(seed, &config);
        quiet += outcome.alarms.len();
        exchanges += outcome.exchanges;
    }
    let each = began.elapsed().as_secs_f64() / exchanges as f64 * 1e6;
    println!(
        "{SEEDS} companies, 4 quiet weeks each: {exchanges} exchanges, {quiet} alarms; {each:.1} µs an exchange, made and folded"
    );
    let outcomes: Vec<_> = (0..SEEDS).map(|seed| usage::attacked(seed, &config)).collect();
    println!("{SEEDS} companies, 14 attacks each in a fifth week:\n");
    for (attack, found) in outcomes.iter().flat_map(|outcome| &outcome.attacks) {
        if let Some(rule) = attack.must.iter().find(|rule| !found.contains(rule)) {
            println!("missed: {} by {}", attack.name, rule.name());
        }
    }
    println!(
        "{:<12} {:>8} {:>6} {:>7} {:>6} {:>10} {:>7}",
        "rule", "labelled", "found", "alarms", "false", "precision", "recall"
    );
    for rule in Rule::ALL {
        let attacks = outcomes.iter().flat_map(|outcome| &outcome.attacks);
        let labelled: Vec<_> = attacks.filter(|(attack, _)| attack.must.contains(&rule)).collect();
        let found = labelled.iter().filter(|(_, found)| found.contains(&rule)).count();
        let alarms = outcomes.iter().flat_map(|outcome| &outcome.alarms);
        let alarms: Vec<_> = alarms.filter(|(alarm, _, _)| alarm.rule == rule).collect();
        let wrong = alarms.iter().filter(|(_, _, fair)| !fair).count();
        let precision = share(alarms.len() - wrong, alarms.len());
        let recall = share(found, labelled.len());
        let (name, all, total) = (rule.name(), labelled.len(), alarms.len());
        println!("{name:<12} {all:>8} {found:>6} {total:>7} {wrong:>6} {precision:>10} {recall:>7}");
    }
}

fn share(part: usize, whole: usize) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.3}", part as f64 / whole as f64) }
}
