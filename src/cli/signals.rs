//! The signals the terminal heeds.

use std::io;

use super::error::{Failure, Outcome};

/// A signal, by what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: end in good order.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
    /// SIGQUIT.
    Quit,
    /// SIGWINCH: the window has another size.
    Window,
}

impl Signal {
    /// The number, the same on every Unix.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Terminate => 15,
            Self::Window => 28,
        }
    }
}

/// Does the work unless a signal asks to stop: the work is then dropped, which cleans up after it.
pub(super) async fn unless_stopped(work: impl Future<Output = Outcome>) -> Outcome {
    let mut signals = Signals::listen()?;
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            signal = signals.next() => match signal {
                Signal::Window => {}
                Signal::Interrupt => return Err(Failure::interrupted()),
                other => return Err(Failure::Quiet(128 + other.number())),
            },
        }
    }
}

/// Hears the signals from now on; they no longer end the process by themselves.
pub(super) struct Signals {
    #[cfg(unix)]
    sources: [(tokio::signal::unix::Signal, Signal); 5],
}

impl Signals {
    /// Starts to listen. Needs a running runtime.
    #[cfg(unix)]
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            sources: [
                (signal(SignalKind::interrupt())?, Signal::Interrupt),
                (signal(SignalKind::terminate())?, Signal::Terminate),
                (signal(SignalKind::hangup())?, Signal::Hangup),
                (signal(SignalKind::quit())?, Signal::Quit),
                (signal(SignalKind::window_change())?, Signal::Window),
            ],
        })
    }

    /// The next signal. Cancel safe.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (source, signal) in &mut self.sources {
                if let std::task::Poll::Ready(Some(())) = source.poll_recv(context) {
                    return std::task::Poll::Ready(*signal);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Starts to listen.
    #[cfg(not(unix))]
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The next Ctrl-C.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupt_drops_the_work_and_ends_with_130() {
        struct Tidy(std::sync::Arc<std::sync::atomic::AtomicBool>);
        impl Drop for Tidy {
            fn drop(&mut self) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let tidied = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let guard = Tidy(std::sync::Arc::clone(&tidied));
        // A work that sends itself the signal once it runs: the handler is in place by then.
        let work = async move {
            let _guard = guard;
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
            std::future::pending::<()>().await;
            Ok(0)
        };
        let outcome = unless_stopped(work).await;
        assert_eq!(outcome.unwrap_err().exit_code(), 130);
        assert!(tidied.load(std::sync::atomic::Ordering::SeqCst));
    }
}
