//! A command that prints a token.

use super::{
    answer,
    renewed::Fresh,
    token::{Granted, Means, read, unknown_life},
};
use crate::secret::{self, ExposeSecret};

/// A program and its arguments, run without a shell.
pub(super) struct Command {
    pub(super) argv: Vec<String>,
}

impl Command {
    /// What it prints is the token, or JSON that holds it and its end.
    pub(super) async fn grant(&self, means: &Means) -> Result<Granted, String> {
        let now = means.clock.now();
        let printed = read(&secret::Source::Command(self.argv.clone())).await?;
        let text = printed.expose_secret();
        if !text.trim_start().starts_with('{') {
            return Ok(Fresh { value: printed, life: unknown_life() });
        }
        let program = self.argv.first().map_or("the command", String::as_str);
        answer::granted(text.as_bytes(), program, now)
    }
}
