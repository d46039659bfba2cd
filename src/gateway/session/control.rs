//! The control stream: hello and welcome, renewals, notices.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::timeout,
};

use super::preamble::{self, Entry};
use crate::{
    gateway::{
        certs::Announcement,
        identity::{Identities, Lease},
    },
    tunnel::{self, Connection, Stream},
    wire::{
        MAX_FRAME, Refusal, VERSION, code,
        control::{FromGateway, FromLaptop, Notice},
        stream::Target,
    },
};

/// For a laptop to take what it is told; one that does not is told nothing more.
const SAY_WITHIN: Duration = Duration::from_secs(5);
/// For a renewal, the identity provider's answer included.
const RENEW_WITHIN: Duration = Duration::from_secs(25);
/// What may wait to be said.
const QUEUE: usize = 64;
/// The longest client name that is kept, in characters.
const LONGEST_CLIENT: usize = 128;

/// This program and its version, as both ends introduce themselves.
const GATEWAY: &str = concat!("hoopctl/", env!("CARGO_PKG_VERSION"));

/// A control stream after its hello.
pub(super) struct Control {
    stream: Stream,
}

/// Reads the connection's first stream up to its hello: the stream, and the client's name. The error is for the peer.
pub(super) async fn hello(connection: &Connection) -> Result<(Control, String), &'static str> {
    let mut stream = connection.accept().await.map_err(|_| "gone")?;
    match preamble::read(&mut stream).await {
        Entry::Welcome(Target::Control) => {}
        Entry::Welcome(_) => {
            let refusal = Refusal::new(code::BAD_REQUEST, "a connection begins with its control stream");
            preamble::refuse(stream, refusal).await;
            return Err("the first stream must be the control stream");
        }
        Entry::Refused(refusal) => {
            preamble::refuse(stream, refusal).await;
            return Err("the first stream made no sense");
        }
        Entry::Gone => return Err("gone"),
    }
    if !preamble::accept(&mut stream).await {
        return Err("gone");
    }
    let mut control = Control { stream };
    match tunnel::read_frame(&mut control.stream, MAX_FRAME).await {
        Ok(FromLaptop::Hello { version: VERSION, client, .. }) => Ok((control, printable(&client))),
        Ok(FromLaptop::Hello { version, .. }) => {
            control.say(FromGateway::Refused(preamble::unknown_version(version))).await;
            let _ = timeout(super::LAST_WORD, connection.closed()).await;
            Err("unknown version")
        }
        Ok(_) => Err("the first word must be hello"),
        Err(_) => Err("the hello made no sense"),
    }
}

/// The answer to a hello whose caller is admitted.
pub(super) fn welcome(user: String, lease_expires_at: String) -> FromGateway {
    FromGateway::Welcome {
        version: VERSION,
        gateway: GATEWAY.to_owned(),
        user,
        lease_expires_at,
        capabilities: Vec::new(),
    }
}

/// What laptops are told of the gateway's roots.
pub(super) fn of_roots(roots: &Announcement) -> Notice {
    Notice::Roots { version: roots.version, roots: roots.roots.clone() }
}

/// Resolves when the roots have changed; never where there are none to tell of. Cancel safe.
pub(super) async fn changed(roots: &mut Option<watch::Receiver<Announcement>>) {
    if let Some(roots) = roots
        && roots.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

impl Control {
    /// Says one thing; a peer that does not listen is not waited for.
    pub(super) async fn say(&mut self, word: FromGateway) {
        // Whoever is gone needs no word; the connection's own end is seen elsewhere.
        let _ = timeout(SAY_WITHIN, tunnel::write_frame(&mut self.stream, &word)).await;
    }

    /// One end to say things with, one that runs the conversation.
    pub(super) fn split(self, identities: Arc<Identities>, lease: Arc<Lease>) -> (Speaker, Conversation) {
        let (say, said) = mpsc::channel(QUEUE);
        let (read, write) = tokio::io::split(self.stream);
        (Speaker(say.clone()), Conversation { read, write, say, said, identities, lease })
    }
}

/// Says things to the laptop.
#[derive(Clone)]
pub(super) struct Speaker(mpsc::Sender<FromGateway>);

impl Speaker {
    /// Queues one message; a laptop that does not listen misses it.
    pub(super) async fn say(&self, word: FromGateway) {
        let _ = timeout(SAY_WITHIN, self.0.send(word)).await;
    }

    /// The same for what is not worth a wait: lost when too much waits to be said.
    pub(super) fn mention(&self, word: FromGateway) {
        let _ = self.0.try_send(word);
    }
}

/// Listens to the laptop and writes what is said to it.
pub(super) struct Conversation {
    read: ReadHalf<Stream>,
    write: WriteHalf<Stream>,
    say: mpsc::Sender<FromGateway>,
    said: mpsc::Receiver<FromGateway>,
    identities: Arc<Identities>,
    lease: Arc<Lease>,
}

impl Conversation {
    /// Runs until either direction ends. Cancelling it may cut a message in two: only together with the connection.
    pub(super) async fn run(self) {
        let Self { mut read, mut write, say, mut said, identities, lease } = self;
        let hear = async {
            while let Ok(word) = tunnel::read_frame::<FromLaptop, _>(&mut read, MAX_FRAME).await {
                if let FromLaptop::Renew { csr } = word {
                    let answer = renew(&identities, &lease, &csr).await;
                    if say.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        };
        let tell = async {
            while let Some(word) = said.recv().await {
                let written = timeout(SAY_WITHIN, tunnel::write_frame(&mut write, &word)).await;
                if !matches!(written, Ok(Ok(()))) {
                    return;
                }
            }
        };
        // A laptop that has ended its side still hears the notices.
        tokio::join!(hear, tell);
    }
}

async fn renew(identities: &Identities, lease: &Lease, csr: &str) -> FromGateway {
    match timeout(RENEW_WITHIN, identities.renew(lease, csr)).await {
        Ok(Ok(credential)) => FromGateway::Renewed(credential),
        Ok(Err(refusal)) => FromGateway::Refused(refusal),
        Err(_) => FromGateway::Refused(
            Refusal::new(code::INTERNAL, "the renewal took longer than 25 seconds")
                .remedy("it is tried again; if it persists, the gateway's log says what it waited for"),
        ),
    }
}

/// A client's name, fit for logs: bounded, without control characters.
fn printable(client: &str) -> String {
    client.chars().filter(|c| !c.is_control()).take(LONGEST_CLIENT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_cannot_write_to_the_log() {
        assert_eq!(printable("hoopctl/0.1\n\x1b[31mroot"), "hoopctl/0.1[31mroot");
        assert_eq!(printable(&"x".repeat(1000)).len(), LONGEST_CLIENT);
    }
}
