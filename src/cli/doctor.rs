//! `hoopctl doctor`: what is in the way between this machine and a gateway, and what to do about it.

use clap::Args;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    sanitize,
};
use crate::{
    client::{self, Finding, Surroundings, Verdict},
    config::laptop::{Output, gateway_url},
};

/// The flags of `doctor`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Every check is bounded in time, all of them in about 10 s. Nothing is changed, no login is needed.
Exit code 0 when no check fails, else 1. With -o json: an array of
{\"check\",\"status\":\"pass\"|\"fail\"|\"skip\",\"detail\",\"action\"}, `action` null where there is nothing to do.")]
pub(super) struct Doctor {
    /// The gateway to look at; the profile's unless said
    #[arg(value_name = "GATEWAY-URL", value_hint = clap::ValueHint::Url)]
    url: Option<String>,
}

/// Checks and prints what was found.
pub(super) async fn perform(args: Doctor, with: &Invocation) -> Outcome {
    let mut settings = with.settings()?;
    if let Some(text) = &args.url {
        let wrong = |remedy| Failure::usage(format!("{text:?} is not a gateway's address")).remedy(remedy);
        settings.gateway = Some(gateway_url(text).map_err(wrong)?);
    }
    let around = Surroundings {
        variable: &|name| std::env::var(name).ok().filter(|value| !value.is_empty()),
        home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
    };
    let findings = {
        let _progress =
            with.printer.progress("looking at the network, the login and the tools of this machine …");
        client::examine(settings, &around).await?
    };
    print(&findings, &with.printer)?;
    match findings.iter().filter(|one| one.status == Verdict::Fail).count() {
        0 => {
            with.printer.note("nothing is in the way");
            return Ok(DONE);
        }
        1 => with.printer.note("1 check failed"),
        more => with.printer.note(&format!("{more} checks failed")),
    }
    Err(Failure::Quiet(FAILED))
}

/// Some check failed.
const FAILED: u8 = 1;

fn print(findings: &[Finding], printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.documents(findings);
    }
    for (at, one) in findings.iter().enumerate() {
        let (good, mark) = match one.status {
            Verdict::Pass => (Some(true), "✓ pass"),
            Verdict::Fail => (Some(false), "✗ fail"),
            Verdict::Skip => (None, "- skip"),
        };
        let mark = printer.marked(good, mark);
        printer.line(&format!("{mark}  {:<7}  {}", one.check, sanitize::line(&one.detail)))?;
        // What is to be done about several lines in a row stands below the last of them.
        let next = findings.get(at + 1).and_then(|next| next.action.as_ref());
        if let Some(action) = one.action.as_ref().filter(|action| Some(*action) != next) {
            printer.line(&format!("{:INDENT$}→ {}", "", sanitize::line(action)))?;
        }
    }
    Ok(())
}

/// Where the sentences begin: mark, word and name come before them.
const INDENT: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::printer::paper;

    fn findings() -> [Finding; 3] {
        let one = |check, status, detail: &str, action: Option<&str>| Finding {
            check,
            status,
            detail: detail.to_owned(),
            action: action.map(str::to_owned),
        };
        [
            one("dns", Verdict::Pass, "gw.example.test is 10.0.0.1", None),
            one("udp", Verdict::Fail, "no QUIC\u{1b}", Some("ask for UDP")),
            one("login", Verdict::Skip, "nobody", Some("hoopctl login")),
        ]
    }

    #[test]
    fn people_see_what_is_wrong_and_what_to_do() {
        let (printer, out, _) = paper::printer(Output::Human);
        print(&findings(), &printer).unwrap();
        assert_eq!(
            out.text(),
            "✓ pass  dns      gw.example.test is 10.0.0.1\n\
             ✗ fail  udp      no QUIC\\u{1b}\n\
             \x20                → ask for UDP\n\
             - skip  login    nobody\n\
             \x20                → hoopctl login\n"
        );
    }

    #[test]
    fn programs_get_an_array_of_four_fields() {
        let (printer, out, _) = paper::printer(Output::Json);
        print(&findings()[..2], &printer).unwrap();
        let json: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(
            json.to_string(),
            r#"[{"check":"dns","status":"pass","detail":"gw.example.test is 10.0.0.1","action":null},{"check":"udp","status":"fail","detail":"no QUIC\u001b","action":"ask for UDP"}]"#
        );
    }
}
