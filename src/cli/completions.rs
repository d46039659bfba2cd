//! `hoopctl completions`.

use clap::Args;
use clap_complete::Shell;

use super::{
    arguments,
    error::{DONE, Outcome},
    invocation::Invocation,
};

/// The flags of `completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
To complete the names of models too, let the shell ask the program instead, in its startup file:
  bash  source <(HOOPCTL_COMPLETE=bash hoopctl)
  zsh   source <(HOOPCTL_COMPLETE=zsh hoopctl)
  fish  HOOPCTL_COMPLETE=fish hoopctl | source")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub(super) fn perform(args: &Completions, with: &Invocation) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut arguments::command(), "hoopctl", &mut script);
    with.printer.raw(&script)?;
    Ok(DONE)
}
