//! THE TERMINAL: one file per verb, output, errors and exit codes.

mod arguments;
mod asking;
mod error;
mod invocation;
mod printer;
mod registry;
mod remembered;
mod revoke;
mod run;
mod sanitize;
mod sessions;
mod signals;
mod table;
mod token;

mod approvals;
mod audit;
mod call;
mod completions;
mod connect;
#[cfg(feature = "gateway")]
mod demo;
mod doctor;
#[cfg(feature = "gateway")]
mod gateway;
mod login;
mod logout;
mod models;
mod ps;
mod qr;
mod status;
mod stop;
mod surroundings;

use std::process::ExitCode;

/// The whole program: reads the process's arguments and environment, does what they say, and
/// returns the exit code.
pub fn main() -> ExitCode {
    ExitCode::from(run::run(std::env::args_os().collect()))
}

/// The one definition of the command line, from which help, completions and man pages are made.
pub fn command() -> clap::Command {
    arguments::command()
}
