//! The policy decision alone: one model, one or a thousand policies, and callers who come for the first time or again.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use hoopctl::{
    clock,
    gateway::{
        identity::Caller,
        policy::{Action, Context, ModelFacts, Outcome, Policies, Question, Resource},
    },
    tunnel::Transport,
};

const DECISIONS: u32 = 20_000;

/// Microseconds of this thread's processor time that a decision takes among so many policies, of which one permits. A caller who comes
/// `again` is one whose decision is remembered.
pub fn decision_micros(policies: usize, again: bool) -> f64 {
    let mut text = r#"@id("yes") permit(principal in Group::"ml", action == Action::"invoke", resource)
        unless { resource.hasTag("risk") && resource.getTag("risk") == "high" };"#
        .to_owned();
    for n in 1..policies {
        write!(text, r#"@id("p{n}") permit(principal in Group::"team-{n}", action == Action::"invoke", resource == Model::"m");"#)
            .unwrap();
    }
    let facts =
        ModelFacts { name: "m".into(), dialect: "openai".into(), tls: "required".into(), labels: [].into() };
    let policies = Policies::parse(&[(PathBuf::from("bench.cedar"), text)], &[facts]).unwrap();
    let mut caller = Caller {
        subject: "42".into(),
        email: Some("alice@example.test".into()),
        name: Some("Alice".into()),
        groups: vec!["ml".into(), "everyone".into()],
        provider: "corp".into(),
        workload: false,
        session: "ses".into(),
    };
    let mut decide = || {
        if !again {
            let number = caller.subject.parse::<u32>().unwrap() + 1;
            caller.subject = number.to_string();
        }
        let question = Question {
            caller: &caller,
            action: Action::Invoke,
            resource: Resource::Model("m"),
            context: Context {
                transport: Some(Transport::Quic),
                upstream_encrypted: true,
                source_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                now: clock::from_unix_millis(1_800_000_000_000),
                method: "POST",
                path: "/v1/chat/completions",
                requested_model: None,
            },
        };
        assert_eq!(policies.decide(&question, false).outcome, Outcome::Permit);
    };
    (0..DECISIONS / 10).for_each(|_| decide());
    let start = processor_nanos();
    (0..DECISIONS).for_each(|_| decide());
    (processor_nanos() - start) as f64 / f64::from(DECISIONS) / 1e3
}

/// This thread's own, which other programs of the machine do not lengthen.
fn processor_nanos() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    spent.tv_sec as u64 * 1_000_000_000 + spent.tv_nsec as u64
}
