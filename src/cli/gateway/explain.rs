//! `hoopctl gateway explain`: what policy answers, offline.

use std::{net::IpAddr, path::PathBuf, time::SystemTime};

use clap::Args;
use serde_json::json;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        printer::Printer,
    },
    load, wrong,
};
use crate::{
    clock,
    config::{
        gateway::{Case, word},
        laptop::Output,
    },
    gateway::policy::{Action, ModelFacts, Outcome as Answer, Policies, Terms, Verdict},
    tunnel::Transport,
};

/// The flags of `gateway explain`.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "gateway.toml", value_hint = clap::ValueHint::FilePath)]
    config: PathBuf,
    /// Who asks: email, name or subject, as `hoopctl status` shows it
    #[arg(long)]
    user: String,
    /// A group the user is in; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// The model asked for
    #[arg(long)]
    model: String,
    /// As if a person had approved it
    #[arg(long)]
    approved: bool,
    /// What the user wants to do
    #[arg(long, value_name = "ACTION", default_value = "invoke", value_parser = action)]
    action: Action,
    /// The identity provider the user comes from, as gateway.toml names it
    #[arg(long, value_name = "NAME", default_value = "")]
    provider: String,
    /// The user is a workload, not a person
    #[arg(long)]
    workload: bool,
    /// The request's method
    #[arg(long, default_value = "POST")]
    method: String,
    /// The request's path
    #[arg(long, default_value = "/")]
    path: String,
    /// The model named in the request itself
    #[arg(long, value_name = "NAME")]
    requested_model: Option<String>,
    /// The address the user comes from
    #[arg(long, value_name = "IP")]
    source_ip: Option<IpAddr>,
    /// The carrier the user comes over
    #[arg(long, value_name = "CARRIER", default_value = "quic", value_parser = carrier)]
    over: Transport,
    /// When, such as 2026-11-23T07:15:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<SystemTime>,
}

/// Decides as the gateway would.
pub(super) fn perform(args: &Explain, with: &Invocation) -> Outcome {
    let config = load(&args.config, with)?;
    let facts = config.facts();
    let model = known(&args.model, &facts)?;
    let policies =
        Policies::load(&config.policies, &facts).map_err(|mistakes| wrong(&args.config, &mistakes, with))?;
    let mut case = Case::new(&args.user, args.group.clone(), &model.name);
    case.caller.provider.clone_from(&args.provider);
    case.caller.workload = args.workload;
    let case = Case {
        action: args.action,
        approved: args.approved,
        transport: args.over,
        source_ip: args.source_ip,
        method: args.method.clone(),
        path: args.path.clone(),
        requested_model: args.requested_model.clone(),
        now: args.at,
        ..case
    };
    let now = with.clock.now();
    let verdict = case.decide(&policies, &config, now);
    let unmask = match (args.action, verdict.outcome) {
        (Action::Invoke, Answer::Permit) => case.unmask(args.approved, &policies, &config, now),
        (Action::Invoke, Answer::Ask) => case.unmask(true, &policies, &config, now),
        _ => None,
    };
    print(args, &verdict, unmask.as_ref(), &with.printer)?;
    Ok(DONE)
}

fn action(text: &str) -> Result<Action, String> {
    let names = || Action::ALL.map(Action::name).join(", ");
    Action::ALL.into_iter().find(|action| action.name() == text).ok_or_else(|| format!("one of {}", names()))
}

fn carrier(text: &str) -> Result<Transport, String> {
    match text {
        "quic" => Ok(Transport::Quic),
        "tcp" => Ok(Transport::Tcp),
        _ => Err("quic or tcp".to_owned()),
    }
}

fn time(text: &str) -> Result<SystemTime, String> {
    clock::parse_rfc3339(text).ok_or_else(|| "a time such as 2026-11-23T07:15:00Z".to_owned())
}

fn known<'a>(name: &str, facts: &'a [ModelFacts]) -> Result<&'a ModelFacts, Failure> {
    facts.iter().find(|model| model.name == name).ok_or_else(|| {
        let names: Vec<&str> = facts.iter().map(|model| model.name.as_str()).collect();
        Failure::usage(format!("the configuration has no model {name:?}"))
            .remedy(format!("its models are: {}", names.join(", ")))
    })
}

fn print(
    args: &Explain,
    verdict: &Verdict,
    unmask: Option<&Verdict>,
    printer: &Printer,
) -> Result<(), Failure> {
    let said = word(verdict.outcome);
    if printer.manner().output != Output::Human {
        let mut document = json!({
            "schema": 1,
            "verdict": said,
            "policies": verdict.policies,
            "missing": verdict.missing,
            "approvers": verdict.approvers(),
            "nearly": verdict.nearly,
        });
        if let (Some(unmask), Some(document)) = (unmask, document.as_object_mut()) {
            let answer = json!({ "verdict": word(unmask.outcome), "policies": unmask.policies });
            document.insert("unmask".to_owned(), answer);
        }
        return printer.document(&document);
    }
    let terms = verdict.terms.iter().map(approval).collect::<String>();
    let by = if verdict.policies.is_empty() {
        "no policy speaks for it".to_owned()
    } else {
        format!("decided by {}", verdict.policies.join(", "))
    };
    let what = if args.action == Action::Invoke { "use" } else { args.action.name() };
    let mut text = format!("{said}: {}; {by}", may(said, what, &args.user, &args.model));
    text.push_str(&terms);
    if let Some(missing) = &verdict.missing {
        text.push_str(&format!("\nmissing: {missing}"));
    }
    if let Some(unmask) = unmask {
        text.push_str(&masking(&args.user, unmask));
    }
    printer.line(&super::super::sanitize::text(&text))
}

/// Whether answers are masked for the user, on a line of its own.
fn masking(user: &str, unmask: &Verdict) -> String {
    let policies = unmask.policies.join(", ");
    match (unmask.outcome, policies.as_str()) {
        (Answer::Permit, policies) => {
            format!("\nmasking: {user} sees answers unmasked; decided by {policies}")
        }
        (_, "") => format!("\nmasking: answers are masked for {user}; no policy permits unmask"),
        (_, policies) => format!("\nmasking: answers are masked for {user}; decided by {policies}"),
    }
}

/// What a policy wants of an approval, on a line of its own.
fn approval(terms: &Terms) -> String {
    let people = if terms.needed == 1 { "one person".to_owned() } else { format!("{} people", terms.needed) };
    let of = match terms.approvers.as_slice() {
        [] => "whom policy permits to approve it".to_owned(),
        groups => format!("of {}", groups.join(", ")),
    };
    let minutes = terms.lasts.as_secs().div_ceil(60);
    format!("\napproval by `{}`: {people} {of}, for {minutes} min", terms.policy)
}

fn may(word: &str, what: &str, user: &str, model: &str) -> String {
    match word {
        "permit" => format!("{user} may {what} {model}"),
        "ask" => format!("{user} may {what} {model} once somebody approves it"),
        _ => format!("{user} may not {what} {model}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{cli::printer::paper, gateway::policy::DEFAULT_LASTS};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        explain: Explain,
    }

    fn verdict() -> Verdict {
        Verdict {
            outcome: Answer::Ask,
            policies: vec!["fraud-jit".into()],
            missing: Some("an approval".into()),
            nearly: vec![],
            terms: vec![Terms {
                policy: "fraud-jit".into(),
                digest: String::new(),
                approvers: vec!["risk-leads".into()],
                lasts: DEFAULT_LASTS,
                needed: 1,
            }],
        }
    }

    #[test]
    fn the_answer_has_the_shape_of_the_contract() {
        let args =
            Line::parse_from("explain --user alice --group a --group b --model fraud".split(' ')).explain;
        assert_eq!(args.group, ["a", "b"]);
        let (printer, out, _) = paper::printer(Output::Jsonl);
        print(&args, &verdict(), None, &printer).unwrap();
        assert_eq!(
            out.text(),
            "{\"schema\":1,\"verdict\":\"ask\",\"policies\":[\"fraud-jit\"],\"missing\":\"an approval\",\"approvers\":[\"risk-leads\"],\"nearly\":[]}\n"
        );
        let (printer, out, _) = paper::printer(Output::Human);
        print(&args, &verdict(), None, &printer).unwrap();
        assert!(
            out.text()
                .starts_with("ask: alice may use fraud once somebody approves it; decided by fraud-jit\n")
        );
    }

    #[test]
    fn of_a_masked_model_it_is_said_whether_answers_are_masked() {
        let args = Line::parse_from("explain --user alice --model fraud".split(' ')).explain;
        for (outcome, policies, word, line) in [
            (
                Answer::Permit,
                &["desk"][..],
                "permit",
                "masking: alice sees answers unmasked; decided by desk\n",
            ),
            (Answer::Deny, &[], "deny", "masking: answers are masked for alice; no policy permits unmask\n"),
            (Answer::Deny, &["never"], "deny", "masking: answers are masked for alice; decided by never\n"),
        ] {
            let policies: Vec<String> = policies.iter().map(ToString::to_string).collect();
            let unmask = Verdict { outcome, policies: policies.clone(), terms: vec![], ..verdict() };
            let (printer, out, _) = paper::printer(Output::Jsonl);
            print(&args, &verdict(), Some(&unmask), &printer).unwrap();
            let found: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
            assert_eq!(found["unmask"], json!({ "verdict": word, "policies": policies }));
            let (printer, out, _) = paper::printer(Output::Human);
            print(&args, &verdict(), Some(&unmask), &printer).unwrap();
            assert!(out.text().ends_with(line), "{}", out.text());
        }
    }

    #[test]
    fn an_unknown_model_is_wrong_usage() {
        let facts = [ModelFacts {
            name: "fraud".into(),
            dialect: "kserve".into(),
            tls: "required".into(),
            labels: Default::default(),
        }];
        assert!(known("fraud", &facts).is_ok());
        assert_eq!(known("freud", &facts).unwrap_err().exit_code(), 2);
    }
}
