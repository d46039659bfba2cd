//! `hoopctl gateway explain`: what policy answers, offline.

use std::{net::IpAddr, path::PathBuf};

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
    config::{gateway as file, gateway::Mistake, laptop::Output},
    gateway::{
        identity::Caller,
        policy::{Action, Context, ModelFacts, Outcome as Answer, Policies, Question, Resource, Verdict},
    },
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
    /// The request's method
    #[arg(long, default_value = "POST")]
    method: String,
    /// The request's path
    #[arg(long, default_value = "/")]
    path: String,
    /// The address the user comes from
    #[arg(long, value_name = "IP")]
    source_ip: Option<IpAddr>,
}

/// Decides as the gateway would.
pub(super) fn perform(args: &Explain, with: &Invocation) -> Outcome {
    let config = load(&args.config, with)?;
    let facts = file::facts(&config);
    let model = known(&args.model, &facts)?;
    let policies = Policies::load(&config.policies, &facts).map_err(|mistakes| {
        let mistakes: Vec<Mistake> = mistakes.into_iter().map(Mistake::from).collect();
        wrong(&args.config, &mistakes, with)
    })?;
    let caller = Caller {
        subject: args.user.clone(),
        email: None,
        name: None,
        groups: args.group.clone(),
        provider: "explain".to_owned(),
        workload: false,
        session: "explain".to_owned(),
    };
    let question = Question {
        caller: &caller,
        action: Action::Invoke,
        resource: Resource::Model(&model.name),
        context: Context {
            transport: Some(Transport::Quic),
            upstream_encrypted: model.tls == "required",
            source_ip: args.source_ip,
            now: with.clock.now(),
            method: &args.method,
            path: &args.path,
            requested_model: None,
        },
    };
    print(args, &policies.decide(&question, args.approved), &with.printer)?;
    Ok(DONE)
}

fn known<'a>(name: &str, facts: &'a [ModelFacts]) -> Result<&'a ModelFacts, Failure> {
    facts.iter().find(|model| model.name == name).ok_or_else(|| {
        let names: Vec<&str> = facts.iter().map(|model| model.name.as_str()).collect();
        Failure::usage(format!("the configuration has no model {name:?}"))
            .remedy(format!("its models are: {}", names.join(", ")))
    })
}

fn word(outcome: &Answer) -> &'static str {
    match outcome {
        Answer::Permit => "permit",
        Answer::Ask => "ask",
        Answer::Deny => "deny",
    }
}

fn print(args: &Explain, verdict: &Verdict, printer: &Printer) -> Result<(), Failure> {
    let word = word(&verdict.outcome);
    if printer.manner().output != Output::Human {
        return printer.document(&json!({
            "schema": 1,
            "verdict": word,
            "policies": verdict.policies,
            "missing": verdict.missing,
            "approvers": verdict.approvers(),
        }));
    }
    let by = if verdict.policies.is_empty() {
        "no policy speaks for it".to_owned()
    } else {
        format!("decided by {}", verdict.policies.join(", "))
    };
    let mut text = format!("{word}: {}; {by}", may(word, &args.user, &args.model));
    if !verdict.approvers().is_empty() {
        text.push_str(&format!("\napprovers: {}", verdict.approvers().join(", ")));
    }
    if let Some(missing) = &verdict.missing {
        text.push_str(&format!("\nmissing: {missing}"));
    }
    printer.line(&super::super::sanitize::text(&text))
}

fn may(word: &str, user: &str, model: &str) -> String {
    match word {
        "permit" => format!("{user} may use {model}"),
        "ask" => format!("{user} may use {model} once somebody approves it"),
        _ => format!("{user} may not use {model}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        cli::printer::paper,
        gateway::policy::{DEFAULT_LASTS, Terms},
    };

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
            terms: vec![Terms {
                policy: "fraud-jit".into(),
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
        print(&args, &verdict(), &printer).unwrap();
        assert_eq!(
            out.text(),
            "{\"schema\":1,\"verdict\":\"ask\",\"policies\":[\"fraud-jit\"],\"missing\":\"an approval\",\"approvers\":[\"risk-leads\"]}\n"
        );
        let (printer, out, _) = paper::printer(Output::Human);
        print(&args, &verdict(), &printer).unwrap();
        assert!(
            out.text()
                .starts_with("ask: alice may use fraud once somebody approves it; decided by fraud-jit\n")
        );
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
