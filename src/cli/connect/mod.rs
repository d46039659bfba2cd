//! `hoopctl connect`: local doors to models, or a command with one.

mod address;
mod announce;
mod background;
mod child;
mod dialect;
mod events;
pub(in crate::cli) mod find;
mod serve;

use std::{collections::HashSet, ffi::OsString, path::PathBuf};

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::{
    asking::Asking,
    error::{Failure, Outcome},
    invocation::Invocation,
    remembered, run,
};

/// The flags of `connect`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Each model's base URL (with -o json: one object) is printed on stdout, one line a model, once it
can be used; then connect serves until Ctrl-C (exit 130) or SIGTERM (exit 0). With `-- CMD`,
stdout is the command's, its signals are forwarded and its exit code is ours.")]
pub(super) struct Connect {
    /// The models
    #[arg(value_name = "MODEL", required = true, add = ArgValueCandidates::new(remembered::candidates))]
    models: Vec<String>,
    /// The loopback port; 0 for any free one [default: the model's own, the same every time]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// A Unix socket instead of a port, only for this user
    #[arg(long, value_name = "PATH", conflicts_with = "port", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// One stream between stdin and stdout and the model, instead of a port
    #[arg(long, conflicts_with_all = ["port", "socket", "local_key", "background", "command"])]
    stdio: bool,
    /// Every request must present a key: HOOPCTL_LOCAL_KEY, or else a new one that is shown
    #[arg(long, conflicts_with = "socket")]
    local_key: bool,
    /// Serve in the background; see `hoopctl ps` and `hoopctl stop`
    #[arg(long, conflicts_with = "command")]
    background: bool,
    #[command(flatten)]
    asking: Asking,
    /// Run this command with the model's address in its environment, and end with it
    #[arg(last = true, value_name = "CMD", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// Opens the doors and serves them.
pub(super) fn perform(mut args: Connect, with: &Invocation) -> Outcome {
    once(&mut args.models);
    check(&args)?;
    if args.background && !background::detached() {
        return background::start(&args, with);
    }
    run::on(tokio::runtime::Builder::new_current_thread(), serve::perform(args, with))
}

/// A model that is named twice has one door.
fn once(models: &mut Vec<String>) {
    let mut seen = HashSet::new();
    models.retain(|model| seen.insert(model.clone()));
}

/// What takes a single model.
fn check(args: &Connect) -> Result<(), Failure> {
    let single = [
        ("--port", args.port.is_some()),
        ("--socket", args.socket.is_some()),
        ("--stdio", args.stdio),
        ("-- CMD", !args.command.is_empty()),
    ];
    let many = args.models.len() > 1;
    match single.iter().find(|(_, given)| *given && many) {
        Some((flag, _)) => {
            Err(Failure::usage(format!("{flag} takes one model, and here are {}", args.models.len()))
                .remedy("run one hoopctl connect per model"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connect: Connect,
    }

    #[test]
    fn what_takes_one_model_refuses_two() {
        for (line, fine) in [
            ("connect a b", true),
            ("connect a --port 1", true),
            ("connect a --port 0", true),
            ("connect a b --port 1", false),
            ("connect a b --socket s", false),
            ("connect a b --stdio", false),
            ("connect a b -- cmd", false),
        ] {
            let args = Line::try_parse_from(line.split(' ')).unwrap().connect;
            let checked = check(&args);
            assert_eq!(checked.is_ok(), fine, "{line}");
            if let Err(failure) = checked {
                assert_eq!(failure.exit_code(), 2);
            }
        }
    }

    #[test]
    fn a_model_named_twice_is_one() {
        let mut models = ["b", "a", "b", "a"].map(str::to_owned).to_vec();
        once(&mut models);
        assert_eq!(models, ["b", "a"]);
    }

    #[test]
    fn what_follows_the_dashes_is_the_commands() {
        let args =
            Line::try_parse_from(["connect", "a", "--", "sh", "-c", "x", "--port", "9"]).unwrap().connect;
        assert_eq!(args.command, ["sh", "-c", "x", "--port", "9"]);
        assert_eq!(args.port, None);
    }
}
