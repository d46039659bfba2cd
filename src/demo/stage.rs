//! The three parts on one stage: model, gateway and laptop, each as it would run on a machine of its own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    browser::{self, Person},
    error::Error,
    folder::Folder,
    model::{self, Model},
};
use crate::{
    client::{
        self, FirstTrust, Here, Laptop, Link, Method, Opening, Port, Settings, Status, StoreChoice, Way,
        open_port,
    },
    clock::Clock,
    config::gateway::{Mistake, Watched},
    gateway::{Config, Gateway},
    tls::Trust,
};

/// How often another port is tried when one was taken between choosing and binding it.
const TRIES: usize = 8;

/// Who logs in.
pub(super) const USER: &str = "alice";

/// Everything running.
pub(super) struct Stage {
    // Dropped in this order: the laptop leaves, the gateway closes, then the model goes.
    pub(super) door: Port,
    pub(super) link: Link,
    pub(super) status: Status,
    pub(super) gateway: Gateway,
    pub(super) url: Url,
    pub(super) model: Model,
    pub(super) watched: Option<Watched>,
    closing: CancellationToken,
}

impl Stage {
    /// Starts model and gateway, logs in through the browser flow, and opens the port.
    pub(super) async fn set(folder: &Folder, clock: Clock) -> Result<Self, Error> {
        let model = Model::start(clock.clone())
            .await
            .map_err(|error| Error::new("the demo model does not start", error))?;
        let (gateway, watched, url) = start_gateway(folder, &model, &clock).await?;
        let laptop = Laptop::open(Settings {
            gateway: Some(url.clone()),
            profile: "demo".to_owned(),
            credential_store: Some(StoreChoice::Memory),
            transport: None,
            proxies: crate::tunnel::Proxies::default(),
            config_dir: folder.laptop().join("config"),
            state_dir: folder.laptop().join("state"),
            clock,
            machine: None,
        })
        .map_err(|error| Error::new("the laptop's profile cannot be opened", error))?;
        let status = log_in(&laptop, folder).await?;
        let link = laptop.link().await.map_err(|error| Error::new("the tunnel does not open", error))?;
        let closing = CancellationToken::new();
        let door = open_port(&link, &laptop, model::NAME, Opening::Port(None), None, closing.clone())
            .await
            .map_err(|error| Error::new("the local port does not open", error))?;
        Ok(Self { door, link, status, gateway, url, model, watched: Some(watched), closing })
    }

    /// Takes up what somebody changes in the gateway's files, for as long as it is polled; `tell` hears what came of it.
    pub(super) async fn follow(&mut self, mut tell: impl FnMut(&str)) {
        let Some(watched) = self.watched.take() else { return std::future::pending().await };
        let (send, mut changes) = mpsc::unbounded_channel::<Result<Config, Vec<Mistake>>>();
        let watching = watched.run(self.closing.clone(), move |change| {
            // The receiver lives as long as this future.
            let _ = send.send(change);
        });
        let taking_up = async {
            while let Some(change) = changes.recv().await {
                match change {
                    Err(mistakes) => {
                        let told = told(&mistakes);
                        self.gateway.refused(&told);
                        tell(&format!("not taken up, {told}"));
                    }
                    Ok(config) => match self.gateway.reload(config).await {
                        Ok(_) => tell("taken up: the next request is decided by what the files say now"),
                        Err(error) => tell(&format!("not taken up, {error}")),
                    },
                }
            }
        };
        tokio::join!(watching, taking_up);
    }

    /// Ends everything politely: the laptop first, as a person would close it.
    pub(super) async fn strike(self) {
        self.closing.cancel();
        drop(self.door);
        self.link.close().await;
        self.gateway.shutdown().await;
    }
}

async fn start_gateway(
    folder: &Folder,
    model: &Model,
    clock: &Clock,
) -> Result<(Gateway, Watched, Url), Error> {
    let mut tries = 0;
    loop {
        let port = free_port().map_err(|error| Error::new("there is no free port on 127.0.0.1", error))?;
        folder.write(port, model)?;
        let (watched, config) = Watched::open(&folder.configuration())
            .map_err(|mistakes| Error::new("the demo's gateway.toml is wrong", told(&mistakes)))?;
        let url = config.accept.public_url.clone();
        match Gateway::start(config, clock.clone()).await {
            Ok(gateway) => return Ok((gateway, watched, url)),
            Err(error) if tries < TRIES && free(port).is_err() => {
                tracing::debug!(%error, port, "the port was taken in between");
                tries += 1;
            }
            Err(error) => {
                return Err(Error::new("the gateway does not start", &error).remedy(error.remedy));
            }
        }
    }
}

fn told(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A port number that is free for TCP and UDP. It has to be known before the gateway starts, because the gateway's
/// own address stands in its configuration.
fn free_port() -> io::Result<u16> {
    let mut last = None;
    for _ in 0..TRIES {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        match free(port) {
            Ok(()) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

fn free(port: u16) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)?;
    UdpSocket::bind(address)?;
    Ok(())
}

/// The whole of `hoopctl login`: the laptop listens on loopback and asks for a browser, the browser signs in.
async fn log_in(laptop: &Arc<Laptop>, folder: &Folder) -> Result<Status, Error> {
    let ca = folder.ca();
    let trust =
        Trust::from_file(&ca).map_err(|error| Error::new("the gateway's CA cannot be read", error))?;
    let (person, mut asked) = Person::new();
    // The demo's own browser visits the address that the login tells.
    let method = Method::Person(client::Person {
        asked: Some(Way::Paste),
        callback_port: None,
        provider: None,
        here: Here::default(),
        name: "the demo".to_owned(),
    });
    let login = laptop.login(FirstTrust::File(ca), method, &person);
    let mut login = std::pin::pin!(login);
    let signing_in = async {
        let Some(url) = asked.recv().await else { return std::future::pending().await };
        match browser::sign_in(url, USER, &trust).await {
            // The laptop has its answer; what it makes of it is told by the login.
            Ok(()) => std::future::pending().await,
            Err(why) => why,
        }
    };
    tokio::select! {
        status = login.as_mut() => status.map_err(|error| Error::new("the login failed", error)),
        why = signing_in => Err(Error::new("the sign-in failed", why)),
    }
}
