//! Which port a model gets.

use std::{io, net::Ipv4Addr};

use tokio::net::TcpListener;

use super::holder;
use crate::client::{
    ClientError, Laptop,
    state::{self, Ports},
};

/// So many ports after the stable one are tried.
const TRIES: u16 = 200;

/// Binds the wanted port, or the model's own; in the second case also says why it is another one, if it is.
pub(super) async fn port(
    laptop: &Laptop,
    model: &str,
    wanted: Option<u16>,
) -> Result<(TcpListener, Option<String>), ClientError> {
    match wanted {
        Some(port) => {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            bound.map(|listener| (listener, None)).map_err(|e| taken(port, &e))
        }
        None => stable(laptop, model).await,
    }
}

async fn stable(laptop: &Laptop, model: &str) -> Result<(TcpListener, Option<String>), ClientError> {
    let ports = Ports::load(&laptop.places);
    let first = ports.of(&laptop.settings.profile, model);
    let mut why = None;
    for step in 0..TRIES {
        let port = state::after(first, step);
        if ports.belongs_to_another(model, port) {
            continue;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => {
                remember(laptop, model, port);
                return Ok((listener, why.map(|error: ClientError| error.message)));
            }
            // The first says most: it is about the port that is the model's own.
            Err(error) => why = why.or_else(|| Some(taken(port, &error))),
        }
    }
    Err(why.unwrap_or_else(|| ClientError::failed("port", "no loopback port is free")))
}

/// A laptop that cannot remember computes the same port again.
fn remember(laptop: &Laptop, model: &str, port: u16) {
    let kept = laptop
        .places
        .create()
        .map_err(io::Error::other)
        .and_then(|()| Ports::remember(&laptop.places, model, port));
    if let Err(error) = kept {
        tracing::debug!(%error, "the port could not be remembered");
    }
}

fn taken(port: u16, error: &io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let by = holder::of_port(port).map_or_else(String::new, |who| format!(" by {who}"));
            ClientError {
                code: "port_taken".to_owned(),
                ..ClientError::usage(format!("port {port} is taken{by}"))
            }
            .remedy("choose another with --port N, or --port 0 for any free one")
        }
        io::ErrorKind::PermissionDenied => {
            ClientError::usage(format!("port {port} is not yours to open: {error}"))
                .remedy("choose one above 1023 with --port N")
        }
        _ => ClientError::failed("port", format!("port {port} cannot be opened: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Kind, testing};

    #[tokio::test]
    async fn a_models_port_is_stable_and_the_next_one_stands_in() {
        let home = tempfile::tempdir().unwrap();
        let laptop = Laptop::open(testing::settings(home.path())).unwrap();
        let (first, nothing) = port(&laptop, "llama", None).await.unwrap();
        let number = first.local_addr().unwrap().port();
        assert_eq!(nothing, None);
        assert_eq!(laptop.stable_port("llama"), number);
        let (second, why) = port(&laptop, "llama", None).await.unwrap();
        assert!(why.unwrap().contains(&number.to_string()));
        assert_ne!(second.local_addr().unwrap().port(), number, "taken: the next free one");
        drop((first, second));
        let (again, _) = port(&laptop, "llama", None).await.unwrap();
        assert_eq!(again.local_addr().unwrap().port(), number);
        assert!(again.local_addr().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn a_wanted_port_that_is_taken_is_said_with_its_holder() {
        let home = tempfile::tempdir().unwrap();
        let laptop = Laptop::open(testing::settings(home.path())).unwrap();
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let number = held.local_addr().unwrap().port();
        let error = port(&laptop, "llama", Some(number)).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (Kind::Usage, "port_taken"));
        assert!(error.remedy.unwrap().contains("--port 0"));
        #[cfg(target_os = "linux")]
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{}", error.message);
        assert!(port(&laptop, "llama", Some(0)).await.is_ok());
    }
}
