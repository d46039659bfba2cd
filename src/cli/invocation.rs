//! One run of the program: the settings in force, the printer, the laptop behind them.

use std::sync::Arc;

use super::{error::Failure, printer::Printer};
use crate::{
    client::{self, Laptop, Settings},
    clock::Clock,
    config,
};

/// What every verb is handed.
pub(super) struct Invocation {
    /// The settings, each with its source.
    pub(super) config: config::laptop::Laptop,
    /// Where answers and talk go.
    pub(super) printer: Printer,
    /// What time it is.
    pub(super) clock: Clock,
}

impl Invocation {
    /// The client room's settings.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = self.config.settings(self.clock.clone()).ok_or_else(|| {
            Failure::failed("this user has no home folder to keep a login in")
                .remedy("set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME")
        })?;
        settings.machine = client::detect(&|name| std::env::var_os(name));
        Ok(settings)
    }

    /// The laptop's side of the profile in force.
    pub(super) fn laptop(&self) -> Result<Arc<Laptop>, Failure> {
        Ok(Laptop::open(self.settings()?)?)
    }

    /// The laptop, connected to its gateway.
    pub(super) async fn connected(&self) -> Result<(Arc<Laptop>, client::Link), Failure> {
        let laptop = self.laptop()?;
        let _progress = self.printer.progress("connecting to the gateway …");
        let link = laptop.link().await?;
        Ok((laptop, link))
    }
}
