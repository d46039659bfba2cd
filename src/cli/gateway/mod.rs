//! `hoopctl gateway`: set up, check, explain, run.

mod authority;
mod explain;
mod mask;
mod serve;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    run, sanitize,
};
use crate::{
    client::Kind,
    config::{
        gateway::{self as file, Mistake},
        laptop::Output,
    },
    gateway::{Config, policy::Policies},
};

/// The flags of `gateway`.
#[derive(Args, Debug)]
pub(super) struct Gateway {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write a first gateway.toml and policies into a folder
    Init(Init),
    /// Run the gateway until SIGTERM or Ctrl-C
    Run(File),
    /// Find every mistake in gateway.toml and its policies, offline
    Check(Check),
    /// Say what policy answers to whom, and why, offline
    Explain(explain::Explain),
    /// Mask values in a text: stdin → stdout, offline
    Mask(mask::Mask),
    /// The gateway's own certificate authority
    Ca(authority::Ca),
}

#[derive(Args, Debug)]
struct Init {
    /// The folder; nothing in it is overwritten
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
}

/// Where the configuration is.
#[derive(Args, Debug)]
struct File {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "gateway.toml", value_hint = clap::ValueHint::FilePath)]
    config: PathBuf,
}

#[derive(Args, Debug)]
struct Check {
    #[command(flatten)]
    file: File,
    /// Also ask the policies every case of this file, and name those answered otherwise than expected
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    policy_tests: Option<PathBuf>,
}

/// Does what the flags say.
pub(super) fn perform(args: Gateway, with: &Invocation) -> Outcome {
    match args.what {
        What::Init(args) => init(&args.dir, with),
        What::Check(args) => check(&args, with),
        What::Explain(args) => explain::perform(&args, with),
        What::Mask(args) => mask::perform(&args, with),
        What::Ca(args) => authority::perform(&args, with),
        What::Run(args) => run::many(serve::perform(&args.config, with)),
    }
}

fn init(dir: &Path, with: &Invocation) -> Outcome {
    let written = file::init(dir).map_err(|error| {
        Failure::failed(format!("{} cannot be set up: {error}", dir.display()))
            .remedy("name an empty folder that you can write to")
    })?;
    if with.printer.manner().output == Output::Human {
        for path in &written {
            with.printer.line(&sanitize::line(&path.display().to_string()))?;
        }
        let config = dir.join("gateway.toml");
        with.printer.note(&format!(
            "next: put your model's address into {0}, then\n  hoopctl gateway check --config {0}\n  \
             hoopctl gateway run --config {0}",
            config.display()
        ));
    } else {
        with.printer.document(&json!({ "schema": 1, "written": written }))?;
    }
    Ok(DONE)
}

/// Mistakes are the answer here, so they go to stdout.
fn check(args: &Check, with: &Invocation) -> Outcome {
    let path = &args.file.config;
    let file::Checked { config, mut mistakes, warnings, .. } = file::check(path);
    for warning in &warnings {
        with.printer.warn(&sentence(warning));
    }
    let mut right = format!("{} and its policies are right", path.display());
    if let (Some(tests), Some(config)) = (&args.policy_tests, &config) {
        let cases;
        (cases, mistakes) = test(tests, config, with);
        right.push_str(&format!("; {cases} policy tests passed"));
    }
    match with.printer.manner().output {
        Output::Json | Output::Jsonl => with.printer.documents(&mistakes)?,
        Output::Human if mistakes.is_empty() => with.printer.note(&right),
        Output::Human => {
            for mistake in &mistakes {
                with.printer.line(&sanitize::text(&sentence(mistake)))?;
            }
        }
    }
    if mistakes.is_empty() { Ok(DONE) } else { Err(Failure::Quiet(1)) }
}

/// Asks the policies every case of a file: how many there are, and which are answered wrong.
fn test(path: &Path, config: &Config, with: &Invocation) -> (usize, Vec<Mistake>) {
    let tests = match file::policy_tests(path, config) {
        Ok(tests) => tests,
        Err(mistakes) => return (0, mistakes),
    };
    let policies = match Policies::load(&config.policies, &config.facts()) {
        Ok(policies) => policies,
        Err(mistakes) => return (0, mistakes),
    };
    let now = with.clock.now();
    let wrong: Vec<Mistake> =
        tests.iter().filter_map(|test| test.run(path, &policies, config, now)).collect();
    if !wrong.is_empty() && with.printer.manner().output == Output::Human {
        let (failed, all) = (wrong.len(), tests.len());
        with.printer.note(&format!(
            "{failed} of {all} policy tests failed; look closer with hoopctl gateway explain"
        ));
    }
    (tests.len(), wrong)
}

/// The configuration, or every mistake in it on stderr.
fn load(path: &Path, with: &Invocation) -> Result<Config, Failure> {
    file::load(path).map_err(|mistakes| wrong(path, &mistakes, with))
}

fn wrong(path: &Path, mistakes: &[Mistake], with: &Invocation) -> Failure {
    if with.printer.manner().output == Output::Human {
        for mistake in mistakes {
            with.printer.say(&sentence(mistake));
        }
    }
    let count = mistakes.len();
    let things = if count == 1 { "mistake" } else { "mistakes" };
    let mut message = format!("{} has {count} {things}", path.display());
    if with.printer.manner().output != Output::Human {
        for mistake in mistakes {
            message.push('\n');
            message.push_str(&sentence(mistake));
        }
    }
    Failure::new(Kind::Usage, "config", message)
        .remedy(format!("hoopctl gateway check --config {}", path.display()))
}

/// `file:line:column: what is wrong`, and the remedy on a line of its own.
fn sentence(mistake: &Mistake) -> String {
    match &mistake.remedy {
        Some(remedy) => format!("{mistake}\n  next: {remedy}"),
        None => mistake.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_says_where_what_and_what_next() {
        let mistake = |line, column, remedy: Option<&str>| Mistake {
            file: "gateway.toml".into(),
            line,
            column,
            message: "unknown key `modle`".into(),
            remedy: remedy.map(str::to_owned),
        };
        assert_eq!(
            sentence(&mistake(Some(3), Some(1), Some("write `model`"))),
            "gateway.toml:3:1: unknown key `modle`\n  next: write `model`"
        );
        assert_eq!(sentence(&mistake(None, None, None)), "gateway.toml: unknown key `modle`");
    }
}
