//! A command that runs with a model: its environment, its signals, its exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    process::ExitStatus,
};

use tokio::process::Command;

use super::{
    super::{error::Failure, printer::Printer, signals::Signal},
    dialect::Changes,
};

/// The running command.
pub(super) struct Child {
    process: tokio::process::Child,
    /// A terminal sends its signals to the whole foreground process group, the command included.
    terminal: bool,
}

impl Child {
    /// Starts the command with our stdin, stdout and stderr. When it cannot be started the reason is
    /// told, and the exit code is a shell's: 127 not found, 126 not executable.
    pub(super) fn start(argv: &[OsString], changes: &Changes, printer: &Printer) -> Result<Self, Failure> {
        let Some((program, args)) = argv.split_first() else {
            return Err(Failure::usage("-- CMD is empty"));
        };
        let mut command = Command::new(program);
        command.args(args).kill_on_drop(true);
        for name in &changes.unset {
            command.env_remove(name);
        }
        command.envs(changes.set.iter().map(|(name, value)| (name, value)));
        let process = command.spawn().map_err(|error| {
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            let text = format!("the command {} cannot be started: {error}", program.display());
            printer.failure(
                &Failure::new(crate::client::Kind::Failed, "command", text).remedy("check its name and PATH"),
            );
            Failure::Quiet(code)
        })?;
        let terminal = io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        Ok(Self { process, terminal })
    }

    /// Passes a signal on, unless the terminal has already sent it to the command.
    pub(super) fn forward(&self, signal: Signal) {
        let from_terminal = matches!(signal, Signal::Interrupt | Signal::Quit | Signal::Window);
        if self.terminal && from_terminal {
            return;
        }
        self.send(signal);
    }

    /// Resolves with the command's exit code; 128 + n when signal n ended it. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<u8> {
        self.process.wait().await.map(exit_code)
    }

    #[cfg(unix)]
    fn send(&self, signal: Signal) {
        use rustix::process::{Pid, Signal as Unix, kill_process};
        let unix = match signal {
            Signal::Interrupt => Unix::INT,
            Signal::Terminate => Unix::TERM,
            Signal::Hangup => Unix::HUP,
            Signal::Quit => Unix::QUIT,
            Signal::Window => Unix::WINCH,
        };
        // Without an id the command has been waited for: its number may be somebody else's.
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, unix)
        {
            tracing::debug!(%error, "the command could not be sent a signal");
        }
    }

    /// Without signals Ctrl-C reaches every process of the console by itself.
    #[cfg(not(unix))]
    fn send(&self, _signal: Signal) {}
}

fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.code().and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(1)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::printer::paper, config::laptop::Output};

    fn start(script: &str, changes: &Changes) -> Child {
        let argv = ["sh", "-c", script].map(OsString::from);
        let (printer, ..) = paper::printer(Output::Human);
        let mut child = Child::start(&argv, changes, &printer).unwrap();
        child.terminal = false;
        child
    }

    #[tokio::test]
    async fn the_exit_code_is_the_commands() {
        let none = Changes::default();
        assert_eq!(start("exit 7", &none).wait().await.unwrap(), 7);
        assert_eq!(start("kill -KILL $$", &none).wait().await.unwrap(), 128 + 9);
    }

    #[tokio::test]
    async fn variables_are_set_and_removed() {
        let changes = Changes { set: vec![("HOOPCTL_MODEL", "m".into())], unset: vec!["PATH_THAT_WINS"] };
        let mut child = start("test \"$HOOPCTL_MODEL\" = m && test -z \"$PATH_THAT_WINS\"", &changes);
        assert_eq!(child.wait().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn signals_are_passed_on() {
        let mut child = start("exec sleep 600", &Changes::default());
        child.forward(Signal::Terminate);
        assert_eq!(child.wait().await.unwrap(), 128 + 15);
    }

    #[tokio::test]
    async fn what_a_terminal_sends_itself_is_not_sent_twice() {
        let mut child = start("exec sleep 600", &Changes::default());
        child.terminal = true;
        child.forward(Signal::Quit);
        child.forward(Signal::Interrupt);
        child.forward(Signal::Terminate);
        assert_eq!(child.wait().await.unwrap(), 128 + 15);
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_127() {
        let (printer, _, err) = paper::printer(Output::Human);
        let argv = ["hoopctl-no-such-command".into()];
        let failure = Child::start(&argv, &Changes::default(), &printer).err().unwrap();
        assert_eq!(failure.exit_code(), 127);
        assert!(err.text().contains("hoopctl-no-such-command"));
    }
}
