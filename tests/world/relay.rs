//! The network between laptop and gateway, which does as it is told: delay, jitter, loss, reordering, rate, a path MTU, black holes,
//! another address, a captive portal. UDP and TCP on one port number. Chances come from a seed.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream, UdpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Runtime,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// What becomes of bytes on their way, each direction alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// From one end to the other.
    pub delay: Duration,
    /// Up to so much more for each datagram, which reorders them.
    pub jitter: Duration,
    /// Datagrams of a thousand that are lost.
    pub loss: u64,
    /// Datagrams of a thousand that are held 3 ms longer than those behind them.
    pub reorder: u64,
    /// Bytes a second of each datagram flow and each TCP connection; what would wait longer than 200 ms is dropped or held back.
    pub rate: Option<u64>,
    /// Larger datagrams vanish, and nobody is told.
    pub mtu: Option<usize>,
    /// No datagram arrives.
    pub no_udp: bool,
    /// No byte of any TCP connection arrives.
    pub no_tcp: bool,
    /// Somebody else answers: plaintext HTTP on TCP, garbage on UDP.
    pub portal: bool,
}

const HELD_LONGER: Duration = Duration::from_millis(3);
const QUEUE: Duration = Duration::from_millis(200);
const PORTAL: &[u8] =
    b"HTTP/1.1 302 Found\r\nLocation: http://portal.example.test/login\r\nContent-Length: 0\r\n\r\n";

pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    target: AtomicUsize,
    weather: watch::Sender<Weather>,
    /// Grows when the laptop's packets begin to come from elsewhere.
    home: watch::Sender<u64>,
    chance: Mutex<u64>,
    datagrams: AtomicU64,
}

impl Relay {
    /// Stands before a gateway's port on loopback.
    pub fn start(gateway: u16, seed: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tcp, udp) = runtime.block_on(async {
            loop {
                let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
                if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                    return (tcp, udp);
                }
            }
        });
        let port = tcp.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target: AtomicUsize::new(gateway.into()),
            weather: watch::Sender::new(Weather::default()),
            home: watch::Sender::new(0),
            chance: Mutex::new(seed | 1),
            datagrams: AtomicU64::new(0),
        });
        runtime.spawn(accept(tcp, Arc::clone(&shared)));
        runtime.spawn(carry_datagrams(Arc::new(udp), Arc::clone(&shared)));
        Self { port, shared, _runtime: runtime }
    }

    /// From now on.
    pub fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// The laptop is somewhere else now: the gateway sees another port, and what it sends to the old one is lost.
    pub fn move_laptop(&self) {
        self.shared.home.send_modify(|home| *home += 1);
    }

    /// New TCP connections lead elsewhere.
    pub fn lead_to(&self, port: u16) {
        self.shared.target.store(port.into(), Ordering::SeqCst);
    }

    /// Datagrams that came from either side.
    pub fn datagrams(&self) -> u64 {
        self.shared.datagrams.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn target(&self) -> SocketAddr {
        let port = u16::try_from(self.target.load(Ordering::SeqCst)).unwrap();
        ([127, 0, 0, 1], port).into()
    }

    /// xorshift64*: below `n`.
    fn below(&self, n: u64) -> u64 {
        let mut state = self.chance.lock().unwrap();
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n.max(1)
    }

    fn one_in_thousand(&self, times: u64) -> bool {
        times > 0 && self.below(1000) < times
    }
}

/// One direction's pace.
#[derive(Default)]
struct Pace {
    free: Option<Instant>,
}

impl Pace {
    /// When so many bytes have passed; `None`: too many wait already.
    fn passed(&mut self, bytes: usize, rate: Option<u64>) -> Option<Instant> {
        let now = Instant::now();
        let Some(rate) = rate else { return Some(now) };
        let from = self.free.unwrap_or(now).max(now);
        if from - now > QUEUE {
            return None;
        }
        let until = from + Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.free = Some(until);
        Some(until)
    }
}

/// When a datagram arrives, if it does.
fn fate(shared: &Shared, pace: &mut Pace, bytes: usize) -> Option<Instant> {
    let weather = *shared.weather.borrow();
    shared.datagrams.fetch_add(1, Ordering::SeqCst);
    let lost = weather.no_udp
        || weather.portal
        || weather.mtu.is_some_and(|mtu| bytes > mtu)
        || shared.one_in_thousand(weather.loss);
    if lost {
        return None;
    }
    let mut at = pace.passed(bytes, weather.rate)? + weather.delay;
    let jitter = u64::try_from(weather.jitter.as_micros()).unwrap();
    if jitter > 0 {
        at += Duration::from_micros(shared.below(jitter));
    }
    if shared.one_in_thousand(weather.reorder) {
        at += HELD_LONGER;
    }
    Some(at)
}

/// A datagram on its way.
struct Flying {
    at: Instant,
    socket: Arc<UdpSocket>,
    bytes: Vec<u8>,
    to: SocketAddr,
}

impl Flying {
    async fn arrive(self) {
        sleep_until(self.at).await;
        let _ = self.socket.send_to(&self.bytes, self.to).await;
    }
}

/// One direction's datagrams: they arrive in their order, but for those that the weather lets others overtake.
struct Lane(mpsc::UnboundedSender<Flying>);

impl Lane {
    fn new() -> Self {
        let (offer, mut flying) = mpsc::unbounded_channel::<Flying>();
        tokio::spawn(async move {
            while let Some(next) = flying.recv().await {
                next.arrive().await;
            }
        });
        Self(offer)
    }

    async fn pass(&self, flying: Flying, weather: Weather) {
        if weather.jitter > Duration::ZERO || weather.reorder > 0 {
            tokio::spawn(flying.arrive());
        } else if weather.delay == Duration::ZERO && flying.at <= Instant::now() {
            flying.arrive().await;
        } else {
            let _ = self.0.send(flying);
        }
    }
}

async fn carry_datagrams(near: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut flows: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let (mut pace, lane) = (Pace::default(), Lane::new());
    let mut home = shared.home.subscribe();
    let mut buffer = vec![0; 65_536];
    loop {
        // An error tells of an earlier datagram that nobody took.
        let Ok((count, from)) = near.recv_from(&mut buffer).await else { continue };
        if shared.weather.borrow().portal {
            let _ = near.send_to(&[0x5a; 64], from).await;
        }
        if home.has_changed().unwrap() {
            home.mark_unchanged();
            flows.clear();
        }
        let far = match flows.get(&from) {
            Some(far) => Arc::clone(far),
            None => {
                let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                tokio::spawn(carry_back(Arc::clone(&far), Arc::clone(&near), from, Arc::clone(&shared)));
                flows.insert(from, Arc::clone(&far));
                far
            }
        };
        if let Some(at) = fate(&shared, &mut pace, count) {
            let flying = Flying { at, socket: far, bytes: buffer[..count].to_vec(), to: shared.target() };
            let weather = *shared.weather.borrow();
            lane.pass(flying, weather).await;
        }
    }
}

/// What comes back, until the laptop has moved.
async fn carry_back(far: Arc<UdpSocket>, near: Arc<UdpSocket>, to: SocketAddr, shared: Arc<Shared>) {
    let (mut pace, lane) = (Pace::default(), Lane::new());
    let mut home = shared.home.subscribe();
    let mut buffer = vec![0; 65_536];
    loop {
        let count = tokio::select! {
            biased;
            _ = home.changed() => return,
            got = far.recv_from(&mut buffer) => match got {
                Ok((count, _)) => count,
                Err(_) => continue,
            },
        };
        if let Some(at) = fate(&shared, &mut pace, count) {
            let flying = Flying { at, socket: Arc::clone(&near), bytes: buffer[..count].to_vec(), to };
            let weather = *shared.weather.borrow();
            lane.pass(flying, weather).await;
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(connection(near, Arc::clone(&shared)));
    }
}

async fn connection(mut near: TcpStream, shared: Arc<Shared>) {
    let mut weather = shared.weather.subscribe();
    if weather.borrow().portal {
        let mut hello = [0; 4096];
        let _ = near.read(&mut hello).await;
        let _ = near.write_all(PORTAL).await;
        let _ = near.shutdown().await;
        while let Ok(1..) = near.read(&mut hello).await {}
        return;
    }
    let Ok(far) = TcpStream::connect(shared.target()).await else { return };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let there = pump(near_in, far_out, Arc::clone(&shared));
    let back = pump(far_in, near_out, Arc::clone(&shared));
    tokio::select! {
        _ = async { tokio::try_join!(there, back) } => {}
        // A portal cuts what was open.
        _ = weather.wait_for(|weather| weather.portal) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, to: OwnedWriteHalf, shared: Arc<Shared>) -> io::Result<()> {
    let (offer, parts) = mpsc::channel(64);
    let writing = tokio::spawn(deliver(parts, to, Arc::clone(&shared)));
    let mut pace = Pace::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        let weather = *shared.weather.borrow();
        let at = loop {
            match pace.passed(count, weather.rate) {
                Some(at) => break at,
                None => tokio::time::sleep(QUEUE / 4).await,
            }
        };
        if offer.send((at + weather.delay, buffer[..count].to_vec())).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    drop(offer);
    writing.await.unwrap()
}

async fn deliver(
    mut parts: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let mut weather = shared.weather.subscribe();
    while let Some((at, bytes)) = parts.recv().await {
        sleep_until(at).await;
        weather.wait_for(|weather| !weather.no_tcp).await.unwrap();
        to.write_all(&bytes).await?;
    }
    to.shutdown().await
}
