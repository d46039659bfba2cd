//! `hoopctl login`.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use url::Url;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    run,
    signals::unless_stopped,
    status,
};
use crate::{
    client::{FirstTrust, Kind, Laptop, Machine, Method, Talk},
    config::laptop::{Output, gateway_url},
    tls,
};

/// The variable a workload's token may be in.
const TOKEN_VARIABLE: &str = "HOOPCTL_WORKLOAD_TOKEN";

/// The flags of `login`.
#[derive(Args, Debug)]
pub(super) struct Login {
    /// The gateway's address; kept in the profile
    #[arg(value_name = "GATEWAY-URL", value_hint = clap::ValueHint::Url)]
    url: Option<String>,
    /// Believe the gateway only by a certificate authority with this SHA-256, `sha256:HEX`
    #[arg(long, value_name = "sha256:HEX", conflicts_with = "ca_file")]
    ca_fingerprint: Option<String>,
    /// Believe the gateway only by the certificate authorities of this PEM file
    #[arg(long, value_name = "PEM", value_hint = clap::ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
    /// Print the address to visit and open no browser
    #[arg(long)]
    no_browser: bool,
    /// The loopback port the browser comes back to [default: any free one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    callback_port: Option<u16>,
    /// Log in as a workload, with the token in this file [env: HOOPCTL_WORKLOAD_TOKEN_FILE; HOOPCTL_WORKLOAD_TOKEN is the token itself]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["no_browser", "callback_port"])]
    workload_token_file: Option<PathBuf>,
}

/// Where this login runs.
#[derive(Clone, Copy, Debug)]
struct Surroundings {
    /// stdin and stderr are terminals: a person sits there.
    person: bool,
    /// `BROWSER` names a browser explicitly.
    browser: bool,
}

/// Logs in and says as whom.
pub(super) fn perform(args: Login, with: Arc<Invocation>) -> Outcome {
    // Two workers: while one asks the person and waits, the other still hears Ctrl-C.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2);
    run::on(builder, async {
        let work = tokio::spawn(log_in(args, with));
        unless_stopped(async { work.await.map_err(|error| Failure::failed(error.to_string()))? }).await
    })
}

async fn log_in(args: Login, with: Arc<Invocation>) -> Outcome {
    let person = io::stdin().is_terminal() && io::stderr().is_terminal();
    let browser = std::env::var_os("BROWSER").is_some_and(|value| !value.is_empty());
    let trust = first_trust(&args)?;
    let mut settings = with.settings()?;
    if let Some(text) = &args.url {
        let wrong = |remedy| Failure::usage(format!("{text:?} is not a gateway's address")).remedy(remedy);
        settings.gateway = Some(gateway_url(text).map_err(wrong)?);
    }
    let machine = machine(&args, settings.machine.take());
    let method = method(&args, machine, Surroundings { person, browser })?;
    let laptop = Laptop::open(settings)?;
    let conversation = Conversation { with: Arc::clone(&with), person };
    let status = laptop.login(trust, method, &conversation).await?;
    if with.printer.manner().output == Output::Human {
        let groups = if status.groups.is_empty() { "none".to_owned() } else { status.groups.join(", ") };
        with.printer.note(&format!(
            "logged in to {} as {} (groups: {groups}){}",
            status.gateway,
            status.user,
            Some(&status.session_expires_at)
                .filter(|end| !end.is_empty())
                .map_or_else(String::new, |end| format!(" until {end}"))
        ));
    } else {
        status::print(&status, &with.printer)?;
    }
    Ok(DONE)
}

fn first_trust(args: &Login) -> Result<FirstTrust, Failure> {
    if let Some(fingerprint) = &args.ca_fingerprint {
        tls::parse_fingerprint(fingerprint).map_err(|error| {
            Failure::usage(error.to_string())
                .remedy("the gateway's operator sees it with `hoopctl gateway ca fingerprint`")
        })?;
        return Ok(FirstTrust::Fingerprint(fingerprint.clone()));
    }
    Ok(args.ca_file.clone().map_or(FirstTrust::Known, FirstTrust::File))
}

/// What this login's surroundings give, unless its flags ask for a person's login.
fn machine(args: &Login, found: Option<Machine>) -> Option<Machine> {
    match &args.workload_token_file {
        Some(file) => Some(Machine::file(file.clone())),
        None if args.no_browser || args.callback_port.is_some() => None,
        None => found,
    }
}

/// Without a person at a terminal no browser is opened, unless one is named explicitly.
fn method(args: &Login, machine: Option<Machine>, here: Surroundings) -> Result<Method, Failure> {
    if let Some(machine) = machine {
        return Ok(Method::Machine(machine));
    }
    if !args.no_browser && !here.person && !here.browser {
        let message = "logging in needs a person and a browser, and this is not a terminal";
        return Err(Failure::new(Kind::LoginNeeded, "no_terminal", message).remedy(format!(
            "hoopctl login --no-browser prints the address to visit; a workload sets {TOKEN_VARIABLE} or \
             --workload-token-file"
        )));
    }
    Ok(Method::Browser { callback_port: args.callback_port, open: !args.no_browser })
}

/// What login says to the person.
struct Conversation {
    with: Arc<Invocation>,
    person: bool,
}

impl Talk for Conversation {
    fn visit(&self, url: &Url, opened: bool) {
        let printer = &self.with.printer;
        if opened {
            printer.note(&format!("the browser has been opened; if it has not, visit\n\n  {url}\n"));
        } else {
            printer.say(&format!("visit this address to log in:\n\n  {url}\n"));
        }
    }

    fn note(&self, line: &str) {
        self.with.printer.note(line);
    }

    fn trust(&self, gateway: &Url, fingerprint: &str) -> bool {
        if !self.person {
            return false;
        }
        let printer = &self.with.printer;
        printer.say(&format!(
            "nothing on this machine vouches for {gateway}: its certificate authority is\n\n  {fingerprint}\n\n\
             Compare it with what the gateway's operator told you (`hoopctl gateway ca fingerprint`)."
        ));
        printer.ask("Trust it from now on? [y/N]");
        let mut answer = String::new();
        // A line longer than this is no yes.
        let read = io::stdin().lock().take(16).read_line(&mut answer);
        read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        login: Login,
    }

    fn args(line: &str) -> Login {
        Line::try_parse_from(std::iter::once("login").chain(line.split_whitespace())).unwrap().login
    }

    #[test]
    fn a_script_never_opens_a_browser() {
        let script = Surroundings { person: false, browser: false };
        let failure = method(&args(""), None, script).unwrap_err();
        assert_eq!(failure.exit_code(), 4);
        assert!(failure.lines().iter().any(|(_, text)| text.contains("--no-browser")));
    }

    #[test]
    fn who_logs_in_how() {
        let person = Surroundings { person: true, browser: false };
        let named = Surroundings { person: false, browser: true };
        let script = Surroundings { person: false, browser: false };
        for (line, here, opens) in [
            ("", person, true),
            ("", named, true),
            ("--no-browser", person, false),
            ("--no-browser", script, false),
        ] {
            match method(&args(line), None, here).unwrap() {
                Method::Browser { open, .. } => assert_eq!(open, opens, "{line} {here:?}"),
                Method::Machine(_) => panic!("{line} {here:?}"),
            }
        }
        let workload = method(&args(""), Some(Machine::token("token".into())), person).unwrap();
        assert!(matches!(workload, Method::Machine(_)), "a token goes before a browser");
    }

    #[test]
    fn a_fingerprint_is_checked_before_anything_is_asked() {
        assert_eq!(first_trust(&args("--ca-fingerprint sha256:12")).unwrap_err().exit_code(), 2);
        let good = format!("--ca-fingerprint sha256:{}", "ab".repeat(32));
        assert!(matches!(first_trust(&args(&good)).unwrap(), FirstTrust::Fingerprint(_)));
        assert!(matches!(first_trust(&args("--ca-file x.pem")).unwrap(), FirstTrust::File(_)));
        assert!(matches!(first_trust(&args("")).unwrap(), FirstTrust::Known));
    }

    #[test]
    fn a_named_file_goes_before_the_surroundings_and_a_persons_flags_before_both() {
        let found = || Some(Machine::token("token".into()));
        let named = machine(&args("--workload-token-file /run/token"), found()).unwrap();
        assert!(named.to_string().contains("/run/token"));
        assert!(machine(&args(""), found()).is_some());
        assert!(machine(&args("--no-browser"), found()).is_none());
        assert!(machine(&args("--callback-port 1"), found()).is_none());
        assert!(machine(&args(""), None).is_none());
    }
}
