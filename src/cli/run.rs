//! From the process's arguments to an exit code.

use std::{ffi::OsString, io::Write, path::Path, sync::Arc};

use clap::{ColorChoice, CommandFactory, FromArgMatches, error::ErrorKind};
use clap_complete::CompleteEnv;

use super::{
    approvals,
    arguments::{self, Arguments, Verb},
    audit, call, completions, connect, doctor,
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    login, logout, models,
    printer::{Manner, Printer},
    ps, revoke, sessions,
    signals::unless_stopped,
    status, stop, token,
};
use crate::{
    clock::Clock,
    config::laptop::{self, Color, Flags, Output, Places},
    secret,
    telemetry::{self, LogFormat},
};

/// Where the machine's administrator says settings for all users.
pub(super) const SYSTEM_CONFIG: &str = "/etc/hoopctl/config.toml";

/// The variable by which a shell asks for completions of what is being typed.
const COMPLETE: &str = "HOOPCTL_COMPLETE";

/// Does what the arguments say; returns the exit code.
pub(super) fn run(arguments: Vec<OsString>) -> u8 {
    let environment = |name: &str| std::env::var_os(name);
    let early = arguments::early(&arguments, &environment);
    let printer = Printer::of_process(manner_of(&early));
    let outcome = complete().and_then(|completed| {
        if completed {
            return Ok(DONE);
        }
        let parsed = match parse(arguments, early.color.as_deref()) {
            Ok(parsed) => parsed,
            Err(error) => return misunderstood(&error, &printer),
        };
        let flags = Flags::from(parsed.global);
        let config = laptop::load(&flags, &environment, Places::of_process(), Path::new(SYSTEM_CONFIG))
            .map_err(Failure::Mistakes)?;
        obey(parsed.verb, config)
    });
    outcome.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.exit_code()
    })
}

/// Answers a shell that asks for completions, if that is why we were started.
fn complete() -> Result<bool, Failure> {
    if std::env::var_os(COMPLETE).is_none() {
        return Ok(false);
    }
    CompleteEnv::with_factory(arguments::command)
        .var(COMPLETE)
        .try_complete(std::env::args_os(), None)
        .map_err(|error| Failure::usage(error.to_string()))
}

fn parse(arguments: Vec<OsString>, color: Option<&str>) -> Result<Arguments, clap::Error> {
    let choice = match color {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    let matches = Arguments::command().color(choice).try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches)
}

/// Help and version are data; everything else is wrong usage.
fn misunderstood(error: &clap::Error, printer: &Printer) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = if printer.manner().out_color { text.ansi().to_string() } else { text.to_string() };
            printer.raw(text.as_bytes())?;
            return Ok(DONE);
        }
        _ if printer.manner().output == Output::Human => {
            let text = error.render();
            let text = if printer.manner().err_color { text.ansi().to_string() } else { text.to_string() };
            // What clap repeats is what the caller typed.
            let _ = std::io::stderr().write_all(text.as_bytes());
            return Err(Failure::Quiet(Failure::usage("").exit_code()));
        }
        _ => {}
    }
    let text = error.render().to_string();
    let reason = text.split("\n\n").next().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason).trim();
    Err(Failure::usage(reason).remedy("hoopctl --help"))
}

/// How to print before the settings are known.
fn manner_of(early: &Flags) -> Manner {
    let output = match early.output.as_deref() {
        Some("json") => Output::Json,
        Some("jsonl") => Output::Jsonl,
        _ => Output::Human,
    };
    let color = match early.color.as_deref() {
        Some("always") => Color::Always,
        Some("never") => Color::Never,
        _ => Color::Auto,
    };
    Manner::of_process(output, false, color)
}

fn obey(verb: Verb, config: laptop::Laptop) -> Outcome {
    let manner = Manner::of_process(config.output.value, config.quiet.value, config.color.value);
    start_log(&verb, config.verbose.value, manner.output);
    // Nearly every verb holds keys or tokens sooner or later; the commands that `connect` runs are not affected.
    secret::forbid_core_files();
    let invocation =
        Arc::new(Invocation { config, printer: Printer::of_process(manner), clock: Clock::system() });
    let outcome = perform(verb, &invocation);
    if let Err(failure) = &outcome {
        // Told here, with the settings in force; the caller only needs the code.
        invocation.printer.failure(failure);
        return Ok(failure.exit_code());
    }
    outcome
}

fn start_log(verb: &Verb, verbose: u8, output: Output) {
    let filter = match verbose {
        0 => "warn",
        1 => "warn,hoopctl=info",
        _ => "info,hoopctl=debug",
    };
    #[cfg(feature = "gateway")]
    let collected = matches!(verb, Verb::Gateway(_)) && output != Output::Human;
    #[cfg(not(feature = "gateway"))]
    let collected = {
        let _ = (verb, output);
        false
    };
    telemetry::start(filter, if collected { LogFormat::Json } else { LogFormat::Text });
}

fn perform(verb: Verb, invocation: &Arc<Invocation>) -> Outcome {
    let with = invocation.as_ref();
    match verb {
        Verb::Login(args) => login::perform(args, Arc::clone(invocation)),
        Verb::Logout => alone(logout::perform(with)),
        Verb::Status => status::perform(with),
        Verb::Models => alone(models::perform(with)),
        Verb::Connect(args) => connect::perform(args, with),
        Verb::Ps => ps::perform(with),
        Verb::Stop(args) => stop::perform(&args, with),
        Verb::Call(args) => alone(call::perform(args, with)),
        Verb::Approvals(args) => alone(approvals::perform(args, with)),
        Verb::Sessions(args) => alone(sessions::perform(args, with)),
        Verb::Audit(args) => alone(audit::perform(args, with)),
        Verb::Token(args) => alone(token::perform(args, with)),
        Verb::Revoke(args) => alone(revoke::perform(args, with)),
        Verb::Doctor(args) => alone(doctor::perform(args, with)),
        Verb::Completions(args) => completions::perform(&args, with),
        #[cfg(feature = "gateway")]
        Verb::Demo(args) => super::demo::perform(args),
        #[cfg(feature = "gateway")]
        Verb::Gateway(args) => super::gateway::perform(args, with),
        #[cfg(not(feature = "gateway"))]
        Verb::Gateway(_) => Err(Failure::usage("this build is the thin laptop client: it holds no gateway")
            .remedy("install the full build: cargo install hoopctl")),
    }
}

/// Runs a verb of the laptop on this thread, until it is done or a signal asks to stop.
pub(super) fn alone(work: impl Future<Output = Outcome>) -> Outcome {
    on(tokio::runtime::Builder::new_current_thread(), unless_stopped(work))
}

/// Runs on every core. The work heeds signals itself.
#[cfg(feature = "gateway")]
pub(super) fn many(work: impl Future<Output = Outcome>) -> Outcome {
    on(tokio::runtime::Builder::new_multi_thread(), work)
}

/// Runs the work on a runtime of this kind. What still blocks in its background, such as reading
/// the keyboard, is not waited for.
pub(super) fn on(mut builder: tokio::runtime::Builder, work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = builder.enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}
