//! A gateway's QUIC leg beside its HTTPS face, which does as its tests say.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{broadcast, mpsc},
    task::JoinSet,
};

use super::{Fake, State};
use crate::{
    clock, tls,
    tunnel::{Connection, QuicListener, Stream, read_frame, write_frame},
    wire::{
        MAX_FRAME, Refusal,
        api::Credential,
        code,
        control::{FromGateway, FromLaptop, Notice},
        stream::{Answer, MAX_PREAMBLE, Preamble, Target, reset},
    },
};

/// What the test can make the gateway do.
#[derive(Clone, Debug)]
pub(in crate::client) enum Order {
    Say(Notice),
    Hang,
}

/// How the gateway greets.
pub(in crate::client) struct Manners {
    /// Refusals of the next hellos, last first.
    pub(in crate::client) refuse: Vec<Refusal>,
    /// Life of a lease.
    pub(in crate::client) lease: Duration,
}

/// A QUIC leg in service.
pub(in crate::client) struct Leg {
    pub(in crate::client) manners: Arc<Mutex<Manners>>,
    pub(in crate::client) orders: broadcast::Sender<Order>,
    /// The target of each model stream as it came in.
    pub(in crate::client) targets: mpsc::UnboundedReceiver<Target>,
    /// How each model stream's reading side ended.
    pub(in crate::client) ends: mpsc::UnboundedReceiver<Option<u32>>,
    /// One for each connection that ended.
    pub(in crate::client) gone: mpsc::UnboundedReceiver<()>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Desk {
    state: Arc<Mutex<State>>,
    manners: Arc<Mutex<Manners>>,
    orders: broadcast::Sender<Order>,
    targets: mpsc::UnboundedSender<Target>,
    ends: mpsc::UnboundedSender<Option<u32>>,
    gone: mpsc::UnboundedSender<()>,
}

impl Fake {
    /// Opens the QUIC leg on the number of the HTTPS face.
    pub(in crate::client) fn open_leg(&self) -> Leg {
        let address = format!("127.0.0.1:{}", self.url.port().unwrap()).parse().unwrap();
        let config =
            tls::quic_server(&self.key, &tls::HotRoots::new(&[self.ca.certificate()]).unwrap()).unwrap();
        let listener = QuicListener::bind(address, config).unwrap();
        let manners = Arc::new(Mutex::new(Manners { refuse: Vec::new(), lease: Duration::from_mins(15) }));
        let orders = broadcast::Sender::new(16);
        let (targets, targets_seen) = mpsc::unbounded_channel();
        let (ends, ends_seen) = mpsc::unbounded_channel();
        let (gone, gone_seen) = mpsc::unbounded_channel();
        let desk = Desk {
            state: Arc::clone(&self.state),
            manners: Arc::clone(&manners),
            orders: orders.clone(),
            targets,
            ends,
            gone,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, desk));
        Leg { manners, orders, targets: targets_seen, ends: ends_seen, gone: gone_seen, _tasks: tasks }
    }
}

async fn accept(listener: QuicListener, desk: Desk) {
    let mut connections = JoinSet::new();
    while let Some(handshaking) = listener.accept().await {
        let desk = desk.clone();
        connections.spawn(async move {
            let Ok(connection) = handshaking.finish().await else { return };
            serve(connection, &desk).await;
            let _ = desk.gone.send(());
        });
    }
}

async fn serve(connection: Connection, desk: &Desk) {
    let mut streams = JoinSet::new();
    while let Ok(mut stream) = connection.accept().await {
        let (desk, connection) = (desk.clone(), connection.clone());
        streams.spawn(async move {
            let Ok(preamble) = read_frame::<Preamble, _>(&mut stream, MAX_PREAMBLE).await else { return };
            match preamble.target {
                Target::Control => control(stream, &connection, &desk).await,
                Target::Api => api(stream).await,
                target @ Target::Model { .. } => model(stream, target, &desk).await,
            }
        });
    }
}

async fn control(mut stream: Stream, connection: &Connection, desk: &Desk) {
    let mut orders = desk.orders.subscribe();
    write_frame(&mut stream, &Answer::Ok).await.unwrap();
    let FromLaptop::Hello { client, .. } = read_frame(&mut stream, MAX_FRAME).await.unwrap() else {
        panic!("no hello")
    };
    assert!(client.starts_with("hoopctl/"));
    let (refusal, lease) = {
        let mut manners = desk.manners.lock().unwrap();
        (manners.refuse.pop(), manners.lease)
    };
    if let Some(refusal) = refusal {
        let _ = write_frame(&mut stream, &FromGateway::Refused(refusal)).await;
        let _ = stream.shutdown().await;
        connection.closed().await;
        return;
    }
    let end = desk.state.lock().unwrap().clock.now() + lease;
    let welcome = FromGateway::Welcome {
        version: 1,
        gateway: "hoopctl/0.1.0".into(),
        user: "alice@example.test".into(),
        lease_expires_at: clock::rfc3339(end),
        capabilities: Vec::new(),
    };
    write_frame(&mut stream, &welcome).await.unwrap();
    let (mut read, mut say) = tokio::io::split(stream);
    let renewals = async {
        while let Ok(message) = read_frame(&mut read, MAX_FRAME).await {
            let FromLaptop::Renew { csr } = message else { continue };
            let credential: Credential = desk.state.lock().unwrap().certify(&csr);
            desk.orders.send(Order::Say(Notice::Unknown)).unwrap();
            return Some(credential);
        }
        None
    };
    tokio::pin!(renewals);
    let mut renewed = false;
    loop {
        tokio::select! {
            credential = &mut renewals, if !renewed => {
                renewed = true;
                let Some(credential) = credential else { return };
                let _ = write_frame(&mut say, &FromGateway::Renewed(credential)).await;
            }
            order = orders.recv() => match order {
                Ok(Order::Say(notice)) => drop(write_frame(&mut say, &FromGateway::Notice(notice)).await),
                Ok(Order::Hang) | Err(_) => return connection.close(0, "the gateway was told to hang up"),
            },
            _ = connection.closed() => return,
        }
    }
}

async fn api(mut stream: Stream) {
    write_frame(&mut stream, &Answer::Ok).await.unwrap();
    let service = service_fn(|request: http::Request<Incoming>| async move {
        let (status, body) = match request.uri().path() {
            "/api/v1/models" => (
                200,
                r#"[{"name":"llama","dialect":"openai","tls":"required","labels":{},"access":"permit"}]"#,
            ),
            "/api/v1/nothing" => (204, ""),
            _ => (403, r#"{"error":{"code":"denied","message":"policy says no","request_id":"ex_1"}}"#),
        };
        Response::builder().status(status).body(Full::new(Bytes::from(body)))
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The model's name says what it does.
async fn model(mut stream: Stream, target: Target, desk: &Desk) {
    let Target::Model { model, .. } = &target else { return };
    let model = model.clone();
    desk.targets.send(target).unwrap();
    match model.as_str() {
        "refused" => {
            let refusal = Refusal::new(code::DENIED, "policy says no").remedy("ask");
            let _ = write_frame(&mut stream, &Answer::Refused(refusal)).await;
            let _ = stream.shutdown().await;
        }
        "cut" => {
            write_frame(&mut stream, &Answer::Ok).await.unwrap();
            stream.write_all(b"half an ans").await.unwrap();
            let mut one = [0];
            let _ = stream.read(&mut one).await;
            stream.reset(reset::CUT);
        }
        "early" => {
            write_frame(&mut stream, &Answer::Ok).await.unwrap();
            stream.write_all(b"too long").await.unwrap();
            // Dropped unread: the laptop's writes fail from now on.
            let _ = stream.shutdown().await;
        }
        "http" => {
            write_frame(&mut stream, &Answer::Ok).await.unwrap();
            let service = service_fn(|request: http::Request<Incoming>| async move {
                let host = request.headers()["host"].to_str().unwrap().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let text = format!("{host}: {}", String::from_utf8_lossy(&body));
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(text))))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
        _ => echo(stream, desk).await,
    }
}

async fn echo(mut stream: Stream, desk: &Desk) {
    write_frame(&mut stream, &Answer::Ok).await.unwrap();
    let mut part = [0; 1024];
    loop {
        match stream.read(&mut part).await {
            Ok(0) => {
                let _ = desk.ends.send(None);
                let _ = stream.shutdown().await;
                return;
            }
            Ok(read) => {
                if stream.write_all(&part[..read]).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = desk.ends.send(crate::tunnel::reset_code(&error));
                return;
            }
        }
    }
}
