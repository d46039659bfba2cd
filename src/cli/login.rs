//! `hoopctl login`.

use std::{
    io::{self, BufRead, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use tokio::sync::mpsc;
use url::Url;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    qr, run,
    signals::unless_stopped,
    status, surroundings,
};
use crate::{
    client::{DeviceCode, FirstTrust, Here, Laptop, Machine, Method, Person, Talk, Way},
    config::laptop::{Output, gateway_url},
    tls,
};

/// The variable a provider's name may be in.
const PROVIDER_VARIABLE: &str = "HOOPCTL_PROVIDER";
/// How long a login that was interrupted may take to put the terminal in order.
const TIDYING: Duration = Duration::from_millis(200);
/// The longest line that is pasted, in bytes; the rest of a longer one is thrown away.
const MAX_PASTED: u64 = 64 * 1024;

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
    /// Open this machine's browser, whatever the surroundings or an earlier login suggest
    #[arg(long, conflicts_with_all = ["no_browser", "device"])]
    browser: bool,
    /// Print the address to visit and open no browser; what the browser ends on can be pasted here
    #[arg(long, conflicts_with = "device")]
    no_browser: bool,
    /// Show a code that any browser, also a telephone's, can confirm
    #[arg(long, conflicts_with = "callback_port")]
    device: bool,
    /// Sign in with this identity provider of the gateway, instead of choosing one there [env: HOOPCTL_PROVIDER]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The loopback port the browser comes back to [default: any free one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    callback_port: Option<u16>,
    /// Log in as a workload, with the token in this file [env: HOOPCTL_WORKLOAD_TOKEN_FILE; HOOPCTL_WORKLOAD_TOKEN is the token itself]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["browser", "no_browser", "device", "provider", "callback_port"])]
    workload_token_file: Option<PathBuf>,
}

/// Logs in and says as whom.
pub(super) fn perform(args: Login, with: Arc<Invocation>) -> Outcome {
    // Two workers: while one asks the person and waits, the other still hears Ctrl-C.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2);
    run::on(builder, async {
        let mut work = tokio::spawn(log_in(args, with));
        let ended = async { (&mut work).await.map_err(|error| Failure::failed(error.to_string()))? };
        let outcome = unless_stopped(ended).await;
        if !work.is_finished() {
            // The spinner is cleared as the work is dropped; a question that is being asked cannot be.
            work.abort();
            let _ = tokio::time::timeout(TIDYING, &mut work).await;
        }
        outcome
    })
}

async fn log_in(args: Login, with: Arc<Invocation>) -> Outcome {
    let here = surroundings::here();
    let person = here.terminal;
    let trust = first_trust(&args)?;
    let mut settings = with.settings()?;
    if let Some(text) = &args.url {
        let wrong = |remedy| Failure::usage(format!("{text:?} is not a gateway's address")).remedy(remedy);
        settings.gateway = Some(gateway_url(text).map_err(wrong)?);
    }
    let machine = machine(&args, settings.machine.take())?;
    let method = method(&args, machine, here);
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
        status::print(&status::Shown::new(&status, &with), &with.printer, with.clock.now())?;
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
///
/// # Errors
/// When a browser shall come back to this machine, and it has a machine's credentials.
fn machine(args: &Login, found: Option<Machine>) -> Result<Option<Machine>, Failure> {
    if let Some(file) = &args.workload_token_file {
        return Ok(Some(Machine::file(file.clone())));
    }
    let flags = [(args.browser, "--browser"), (args.callback_port.is_some(), "--callback-port")];
    let flag = flags.into_iter().find_map(|(given, flag)| given.then_some(flag));
    if let (Some(flag), Some(machine)) = (flag, &found) {
        let by = machine.found_by();
        let message = format!("no browser is opened where a machine's credentials are: {by} is here");
        return Err(Failure::usage(message).remedy(format!(
            "leave {flag} out to log in as the machine; as a person, remove {by} or use --device"
        )));
    }
    Ok(found.filter(|_| asked(args).is_none()))
}

/// The way asked for by its flag.
fn asked(args: &Login) -> Option<Way> {
    let flags = [(args.browser, Way::Browser), (args.no_browser, Way::Paste), (args.device, Way::Device)];
    flags.into_iter().find_map(|(flag, way)| flag.then_some(way))
}

/// A machine's credentials go before any browser.
fn method(args: &Login, machine: Option<Machine>, here: Here) -> Method {
    if let Some(machine) = machine {
        return Method::Machine(machine);
    }
    let variable = || std::env::var(PROVIDER_VARIABLE).ok().filter(|name| !name.is_empty());
    Method::Person(Person {
        asked: asked(args),
        callback_port: args.callback_port,
        provider: args.provider.clone().or_else(variable),
        here,
        name: surroundings::name(),
    })
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

    fn code(&self, shown: &DeviceCode) {
        let printer = &self.with.printer;
        let minutes = shown.life.as_secs() / 60;
        let DeviceCode { url, complete, code, .. } = shown;
        if printer.manner().output != Output::Human {
            return printer.tell(&serde_json::json!({ "device": {
                "verification_uri": url, "verification_uri_complete": complete, "user_code": code,
                "expires_in": shown.life.as_secs(),
            }}));
        }
        printer.say(&format!(
            "visit this address in any browser, and confirm this code within {minutes} minutes:\n\n  \
             {url}\n\n  {code}\n"
        ));
        let picture = complete
            .as_ref()
            .filter(|_| surroundings::draws())
            .and_then(|url| qr::draw(url.as_str(), surroundings::columns(), printer.manner().err_color));
        if let Some(picture) = picture {
            printer.picture(&picture);
        }
    }

    fn pasted(&self) -> Option<mpsc::UnboundedReceiver<String>> {
        if !self.person {
            return None;
        }
        self.with.printer.say(
            "if the browser is on another machine, it ends on a page that cannot be shown: paste that page's \
             address here",
        );
        let (typed, lines) = mpsc::unbounded_channel();
        // A thread that nobody waits for: reading a terminal cannot be called back.
        let reader = std::thread::Builder::new().name("paste".to_owned()).spawn(move || {
            while let Some(line) = pasted_line(&mut io::stdin().lock()) {
                if typed.send(line).is_err() {
                    return;
                }
            }
        });
        reader.ok().map(|_| lines)
    }

    fn waiting<'t>(&'t self, what: &str) -> Box<dyn Send + 't> {
        Box::new(self.with.printer.progress(what))
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

/// The next line, bounded; `None` at the end of the input.
fn pasted_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = from.take(MAX_PASTED).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.last() != Some(&b'\n') {
        from.skip_until(b'\n').ok()?;
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::printer::paper;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        login: Login,
    }

    fn args(line: &str) -> Login {
        Line::try_parse_from(std::iter::once("login").chain(line.split_whitespace())).unwrap().login
    }

    #[test]
    fn who_logs_in_how() {
        for (line, way) in [
            ("", None),
            ("--browser", Some(Way::Browser)),
            ("--no-browser", Some(Way::Paste)),
            ("--device --provider company", Some(Way::Device)),
            ("--callback-port 8400", None),
        ] {
            match method(&args(line), None, Here::default()) {
                Method::Person(person) => assert_eq!(person.asked, way, "{line}"),
                Method::Machine(_) => panic!("{line}"),
            }
        }
        let workload = method(&args(""), Some(Machine::token("token".into())), Here::default());
        assert!(matches!(workload, Method::Machine(_)), "a token goes before a browser");
    }

    #[test]
    fn ways_exclude_each_other() {
        for line in ["--browser --device", "--device --no-browser", "--device --callback-port 1"] {
            let words = std::iter::once("login").chain(line.split_whitespace());
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
    }

    #[test]
    fn ten_megabytes_pasted_are_one_short_line() {
        let huge = format!("{}\nnext\nlast", "x".repeat(10 * 1024 * 1024));
        let mut input = io::BufReader::new(huge.as_bytes());
        assert_eq!(pasted_line(&mut input).unwrap().len() as u64, MAX_PASTED);
        assert_eq!(pasted_line(&mut input).unwrap(), "next\n");
        assert_eq!(pasted_line(&mut input).unwrap(), "last");
        assert_eq!(pasted_line(&mut input), None);
    }

    #[test]
    fn a_code_is_json_for_programs() {
        let (printer, _, err) = paper::printer(Output::Json);
        let config = crate::config::laptop::load(&Default::default(), &|_| None, None, "/nowhere".as_ref());
        let config = config.unwrap_or_else(|m| panic!("{m:?}"));
        let with = Arc::new(Invocation { config, printer, clock: crate::clock::Clock::system() });
        let url = Url::parse("https://gateway.example.test/device").unwrap();
        Conversation { with, person: false }.code(&DeviceCode {
            url,
            complete: None,
            code: "WDJB-MJHT".into(),
            life: Duration::from_secs(600),
        });
        let told: serde_json::Value = serde_json::from_str(&err.text()).unwrap();
        assert_eq!(told["device"]["user_code"], "WDJB-MJHT");
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
        let named = machine(&args("--workload-token-file /run/token"), found()).unwrap().unwrap();
        assert!(named.to_string().contains("/run/token"));
        assert!(machine(&args(""), found()).unwrap().is_some());
        assert!(machine(&args("--no-browser"), found()).unwrap().is_none());
        for flag in ["--callback-port 1", "--browser", "--no-browser --callback-port 1"] {
            let error = machine(&args(flag), found()).unwrap_err();
            assert!(format!("{error:?}").contains("HOOPCTL_WORKLOAD_TOKEN"), "{error:?}");
            assert!(machine(&args(flag), None).unwrap().is_none());
        }
        assert!(machine(&args(""), None).unwrap().is_none());
    }
}
