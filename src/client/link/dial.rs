//! From a credential to a welcome.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use futures_util::{Stream as Messages, stream};
use tokio::{
    io::{ReadHalf, WriteHalf},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{Core, Line};
use crate::{
    client::{
        ClientError, Kind, PROGRAM,
        credential::{self, Held},
        https, state,
    },
    clock,
    tunnel::{Connection, Dialer, Stream, TunnelError, read_frame, write_frame},
    wire::{
        self,
        control::{FromGateway, FromLaptop},
        stream::{Answer, Preamble, Target},
    },
};

/// The whole of a dial; the dialer's own bounds are tighter.
const DIAL: Duration = Duration::from_secs(20);
/// From the handshake's end to the welcome.
const GREETING: Duration = Duration::from_secs(10);

/// What the gateway says on the control stream. Taking the next message is cancel safe.
pub(super) type Heard = Pin<Box<dyn Messages<Item = Result<FromGateway, TunnelError>> + Send>>;

/// A welcomed connection and its control stream.
pub(super) struct Session {
    pub(super) line: Arc<Line>,
    pub(super) heard: Heard,
    pub(super) say: WriteHalf<Stream>,
    /// When the lease ends unless renewed.
    pub(super) lease_end: SystemTime,
}

/// Takes a valid credential, dials, says hello, and waits for the welcome. A gateway that does not accept the
/// certificate is asked once more with a fresh one.
pub(super) async fn establish(core: &Arc<Core>) -> Result<Session, ClientError> {
    let held = credential::valid(&core.laptop, None).await?;
    establish_with(core, held).await
}

/// As [`establish`], with a credential that was just taken.
pub(super) async fn establish_with(core: &Arc<Core>, held: Held) -> Result<Session, ClientError> {
    let gateway = &held.profile.gateway;
    if *gateway != core.gateway {
        // What was opened towards one gateway never moves to another.
        return Err(ClientError::login_needed(format!(
            "the profile {:?} now belongs to {gateway}, not {}",
            core.laptop.settings.profile, core.gateway
        ))
        .remedy(format!("hoopctl login {} --profile NAME", core.gateway)));
    }
    match attempt(core, &held).await {
        Err(refused) if refused.kind == Kind::LoginNeeded => {
            let fresh = credential::valid(&core.laptop, Some(&held.secrets.certificate)).await?;
            attempt(core, &fresh).await
        }
        other => other,
    }
}

async fn attempt(core: &Core, held: &Held) -> Result<Session, ClientError> {
    let settings = &core.laptop.settings;
    let places = &core.laptop.places;
    let gateway = &held.profile.gateway;
    core.key.swap(held.identity()?);
    let (host, port) = https::address(gateway);
    let dialer = Dialer {
        host,
        port,
        trust: held.trust.clone(),
        key: core.key.clone(),
        proxies: settings.proxies.clone(),
    };
    let dialled = async {
        match settings.transport {
            Some(only) => dialer.dial_only(only).await,
            None if core.elsewhere.load(Ordering::Relaxed) => dialer.dial(None).await,
            None => dialer.dial(state::preferred(places, gateway.as_str(), settings.clock.now())).await,
        }
    };
    let connection = timeout(DIAL, dialled)
        .await
        .map_err(|_| ClientError::unreachable(format!("{gateway} did not answer")))??;
    let transport = connection.transport();
    let session = timeout(GREETING, greet(connection, settings.clock.now())).await.map_err(|_| {
        ClientError::unreachable(format!("{gateway} did not say welcome within {} s", GREETING.as_secs()))
    })??;
    core.elsewhere.store(false, Ordering::Relaxed);
    let shown = session.line.connection.peer_chain().first();
    state::remember_transport(places, gateway.as_str(), transport, shown, settings.clock.now());
    Ok(session)
}

/// Whether the gateway welcomes the one who dialled; the connection ends with the answer.
pub(in crate::client) async fn welcomed(connection: Connection, now: SystemTime) -> Result<(), ClientError> {
    timeout(GREETING, greet(connection, now))
        .await
        .map_err(|_| ClientError::unreachable("the gateway did not say welcome"))?
        .map(drop)
}

/// In TLS 1.3 a client believes it is connected before the gateway has judged its certificate: only the
/// welcome says so.
async fn greet(connection: Connection, now: SystemTime) -> Result<Session, ClientError> {
    let greeting = exchange_hello(&connection).await;
    let (control, welcome) = match greeting {
        Ok(greeted) => greeted,
        // The stream says "closed" where the connection knows why.
        Err(TunnelError::Closed { code, reason }) => {
            let why = timeout(Duration::from_millis(200), connection.closed()).await;
            return Err(why.unwrap_or(TunnelError::Closed { code, reason }).into());
        }
        Err(error) => return Err(error.into()),
    };
    let lease_end = match welcome {
        FromGateway::Welcome { lease_expires_at, .. } => {
            clock::parse_rfc3339(&lease_expires_at).unwrap_or(now)
        }
        FromGateway::Refused(refusal) => return Err(refusal.into()),
        other => {
            return Err(TunnelError::Protocol(format!("{other:?} is no answer to hello")).into());
        }
    };
    let (read, say) = tokio::io::split(control);
    let line = Arc::new(Line { connection, streams: TaskTracker::new() });
    Ok(Session { line, heard: messages(read), say, lease_end })
}

async fn exchange_hello(connection: &Connection) -> Result<(Stream, FromGateway), TunnelError> {
    let mut control = connection.open().await?;
    write_frame(&mut control, &Preamble::to(Target::Control)).await?;
    let hello = FromLaptop::Hello {
        version: wire::VERSION,
        client: format!("{PROGRAM} {}-{}", std::env::consts::OS, std::env::consts::ARCH),
        capabilities: Vec::new(),
    };
    write_frame(&mut control, &hello).await?;
    match read_frame(&mut control, wire::MAX_FRAME).await? {
        Answer::Ok => {}
        Answer::Refused(refusal) => return Ok((control, FromGateway::Refused(refusal))),
    }
    loop {
        match read_frame(&mut control, wire::MAX_FRAME).await? {
            // A newer gateway may say more than this version knows.
            FromGateway::Unknown | FromGateway::Notice(_) => {}
            answer => return Ok((control, answer)),
        }
    }
}

fn messages(read: ReadHalf<Stream>) -> Heard {
    Box::pin(stream::unfold(Some(read), |read| async move {
        let mut read = read?;
        let message = read_frame(&mut read, wire::MAX_FRAME).await;
        let next = message.is_ok().then_some(read);
        Some((message, next))
    }))
}
