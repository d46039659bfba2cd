//! `hoopctl gateway run`: start, drain, stop.

use std::path::Path;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        signals::{Signal, Signals},
    },
    sentence, wrong,
};
use crate::{
    client::Kind,
    config::gateway::{Mistake, Watched},
    gateway::{Config, Gateway},
};

/// A changed configuration, or what is wrong with it.
type Change = Result<Config, Vec<Mistake>>;

/// Runs until SIGTERM or Ctrl-C, then drains; a second one cuts the draining short.
pub(super) async fn perform(path: &Path, with: &Invocation) -> Outcome {
    let mut signals = Signals::listen()?;
    let (watched, config) = Watched::open(path).map_err(|mistakes| wrong(path, &mistakes, with))?;
    let mut url = config.accept.public_url.clone();
    let gateway = tokio::select! {
        started = Gateway::start(config, with.clock.clone()) => started.map_err(|error| {
            let failure = Failure::new(Kind::Failed, "start", error.message);
            match error.remedy {
                Some(remedy) => failure.remedy(remedy),
                None => failure,
            }
        })?,
        signal = stop(&mut signals) => return Err(Failure::Quiet(128 + signal.number())),
    };
    if url.port() == Some(0) {
        // An address always has a place for a port.
        let _ = url.set_port(Some(gateway.address().port()));
    }
    with.printer.note(&format!("the gateway {url} serves on {}", gateway.address()));
    tell_supervisor("READY=1");
    let signal = serve(&gateway, watched, &mut signals, with).await;
    tell_supervisor("STOPPING=1");
    with.printer.note("draining: open exchanges end first; a second signal cuts them");
    tokio::select! {
        () = gateway.shutdown() => {}
        _ = stop(&mut signals) => with.printer.warn("the draining was cut short"),
    }
    match signal {
        Signal::Interrupt => Err(Failure::interrupted()),
        _ => Ok(DONE),
    }
}

/// Takes up what changes in the configuration until a signal asks to stop.
async fn serve(gateway: &Gateway, watched: Watched, signals: &mut Signals, with: &Invocation) -> Signal {
    let following = CancellationToken::new();
    let _end = following.clone().drop_guard();
    // Files are looked at once a second: what waits here is one change, rarely two.
    let (tell, mut changes) = mpsc::channel::<Change>(16);
    tokio::spawn(watched.run(following, move |change| {
        if tell.try_send(change).is_err() {
            tracing::error!("a changed configuration was passed over; change it again");
        }
    }));
    loop {
        tokio::select! {
            signal = stop(signals) => return signal,
            Some(change) = changes.recv() => take_up(gateway, change, with).await,
        }
    }
}

/// A bad configuration is reported, and the last good one stays in force.
async fn take_up(gateway: &Gateway, change: Change, with: &Invocation) {
    let kept = "the changed configuration was not taken up; the last good one stays in force";
    let config = match change {
        Ok(config) => config,
        Err(mistakes) => {
            let told: Vec<String> = mistakes.iter().map(sentence).collect();
            let plain: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            gateway.refused(&plain.join("; "));
            return with.printer.warn(&format!("{kept}\n{}", told.join("\n")));
        }
    };
    match gateway.reload(config).await {
        Err(error) => with.printer.warn(&format!("{kept}: {error}")),
        Ok(reloaded) if reloaded.needs_restart.is_empty() => {
            with.printer.note("the changed configuration was taken up");
        }
        Ok(reloaded) => with.printer.warn(&format!(
            "the changed configuration was taken up, but for what needs a restart: {}",
            reloaded.needs_restart.join(", ")
        )),
    }
}

/// The next signal that asks to stop. A lost terminal or another window do not.
async fn stop(signals: &mut Signals) -> Signal {
    loop {
        let signal = signals.next().await;
        if matches!(signal, Signal::Interrupt | Signal::Terminate | Signal::Quit) {
            return signal;
        }
    }
}

/// Tells systemd, if that is who started us (sd_notify(3)).
fn tell_supervisor(state: &str) {
    #[cfg(unix)]
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = notify(&address, state)
    {
        tracing::warn!(%error, "the service manager could not be told {state}");
    }
    #[cfg(not(unix))]
    let _ = state;
}

#[cfg(unix)]
fn notify(address: &std::ffi::OsStr, state: &str) -> std::io::Result<()> {
    use std::os::unix::{ffi::OsStrExt, net::UnixDatagram};
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
        }
        _ => {
            socket.send_to(state.as_bytes(), address)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_hears_that_we_are_ready() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        notify(path.as_os_str(), "READY=1").unwrap();
        let mut heard = [0; 16];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
    }
}
