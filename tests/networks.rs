//! What the network between laptop and gateway does to a caller: nothing lost, nothing hidden, never a wait without an end.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::world::{
    Connected, Laptop, Model, PATIENCE, Proxy, Relay, Weather, World, eventually, fails, signal, split_head,
    succeed, text,
};

const QUIET: Weather = Weather {
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
    loss: 0,
    reorder: 0,
    rate: None,
    mtu: None,
    no_udp: false,
    no_tcp: false,
    portal: false,
};
const NO_UDP: Weather = Weather { no_udp: true, ..QUIET };
const NOTHING: Weather = Weather { no_udp: true, no_tcp: true, ..QUIET };

/// A gateway that laptops reach through a relay.
struct Far {
    model: Model,
    world: World,
    relay: Relay,
    laptop: Laptop,
}

impl Far {
    fn new() -> Self {
        Self::in_weather(QUIET)
    }

    fn in_weather(weather: Weather) -> Self {
        let model = Model::start();
        let mut world = World::new();
        world.model("m", &model.url(), &format!("ca = \"{}\"", model.ca_file(world.dir.path()).display()));
        let relay = Relay::start(world.port, 0x5eed);
        relay.weather(weather);
        world.url = format!("https://localhost:{}", relay.port);
        world.start();
        let laptop = world.logged_in("ana", &["ml"]);
        Self { model, world, relay, laptop }
    }

    /// An open `/sse` answer that has begun.
    fn stream(&self, connect: &Connected) -> Stream {
        let mut app = connect.open();
        write!(app, "GET /sse HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", connect.port()).unwrap();
        let before = self.model.say(b"");
        eventually("the request at the model", || {
            (self.model.say(b"data: first\n\n") > before).then_some(())
        });
        let mut stream = Stream { app, seen: Vec::new() };
        stream.wait_for("data: first");
        stream
    }

    fn event(&self, stream: &mut Stream, text: &str) {
        self.model.say(format!("data: {text}\n\n").as_bytes());
        stream.wait_for(text);
    }
}

struct Stream {
    app: TcpStream,
    seen: Vec<u8>,
}

impl Stream {
    fn wait_for(&mut self, end: &str) {
        let mut buffer = [0; 1024];
        while !self.seen.windows(end.len()).any(|w| w == end.as_bytes()) {
            let n = self.app.read(&mut buffer).unwrap();
            assert_ne!(n, 0, "the stream ended before {end:?}");
            self.seen.extend_from_slice(&buffer[..n]);
        }
    }

    /// Its end: whether it was cut, never a clean one.
    fn ends_cut(mut self) -> bool {
        let mut rest = Vec::new();
        let ended = self.app.read_to_end(&mut rest);
        ended.is_err() || !rest.ends_with(b"0\r\n\r\n")
    }
}

fn transport(connect: &Connected) -> &str {
    connect.said["transport"].as_str().unwrap()
}

fn status(connect: &Connected) -> String {
    connect.get("/bytes/5").0.lines().next().unwrap().to_owned()
}

/// Bytes that differ at every place.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// So many bytes there and back at once; how long it took.
fn echo(connect: &Connected, length: usize, meanwhile: impl FnOnce()) -> Duration {
    let start = Instant::now();
    let mut app = connect.open();
    app.set_read_timeout(Some(4 * PATIENCE)).unwrap();
    app.set_write_timeout(Some(4 * PATIENCE)).unwrap();
    let port = connect.port();
    let bytes = pattern(length);
    let mut writer = app.try_clone().unwrap();
    let sent = bytes.clone();
    let writing = std::thread::spawn(move || {
        write!(writer, "POST /echo HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
            .unwrap();
        writer.write_all(&sent).unwrap();
    });
    meanwhile();
    let mut answer = Vec::new();
    app.read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    let (head, body) = split_head(&answer);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let body = if head.contains("transfer-encoding: chunked") { dechunked(&body) } else { body };
    assert!(body == bytes, "{} bytes came back of {length}, or other ones", body.len());
    start.elapsed()
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[line + 2..line + 2 + size]);
        body = &body[line + 2 + size + 2..];
    }
}

#[test]
fn where_udp_is_blocked_tcp_serves_and_says_so() {
    let far = Far::in_weather(NO_UDP);
    let connect = far.laptop.connect(&[]);
    assert_eq!(transport(&connect), "tcp");
    assert!(status(&connect).contains("200"));
    connect.process.wait_for_line("connected over tcp");
}

#[test]
fn when_udp_dies_new_requests_go_over_tcp_and_old_streams_are_cut_audibly() {
    let far = Far::new();
    let connect = far.laptop.connect(&[]);
    assert_eq!(transport(&connect), "quic");
    let stream = far.stream(&connect);
    let died = Instant::now();
    far.relay.weather(NO_UDP);
    // Its request goes into the void before anybody knows.
    let mut caught = connect.open();
    write!(caught, "GET /bytes/5 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", connect.port()).unwrap();
    connect.process.wait_for_line("does not answer over quic");
    connect.process.wait_for_line("reconnected over tcp: falling back");
    let back = died.elapsed();
    assert!(status(&connect).contains("200"));
    assert!(back < Duration::from_secs(15), "{back:?}");
    let mut answer = Vec::new();
    caught.read_to_end(&mut answer).unwrap();
    let (head, body) = split_head(&answer);
    assert!(head.starts_with("http/1.1 503") && text(&body).contains("unreachable"), "{head}");
    assert!(stream.ends_cut());
    eprintln!("UDP dead: served over TCP after {back:?}");
}

#[test]
fn a_gap_in_the_network_costs_no_byte_and_what_is_asked_meanwhile_has_an_answer() {
    let far = Far::new();
    let connect = far.laptop.connect(&[]);
    let mut stream = far.stream(&connect);
    far.relay.weather(NOTHING);
    // Said while nothing passes.
    far.model.say(b"data: in the gap\n\n");
    connect.process.wait_for_line("does not answer over quic");
    let asked = Instant::now();
    let (head, body) = connect.get("/bytes/5");
    let held = asked.elapsed();
    assert!(head.starts_with("http/1.1 503") && head.contains("retry-after"), "{head}");
    assert!(text(&body).contains("is not connected"), "{}", text(&body));
    assert!(held >= Duration::from_secs(4) && held < Duration::from_secs(15), "{held:?}");
    far.relay.weather(QUIET);
    stream.wait_for("in the gap");
    assert!(status(&connect).contains("200"));
    far.event(&mut stream, "after it");
}

#[test]
fn a_laptop_that_moves_behind_its_router_keeps_its_streams() {
    let far = Far::new();
    let connect = far.laptop.connect(&[]);
    let mut stream = far.stream(&connect);
    for step in 0..3 {
        // Nothing is under way: only the laptop can find out, by asking.
        far.relay.move_laptop();
        let start = Instant::now();
        far.event(&mut stream, &format!("step {step}"));
        eprintln!("moved while receiving: stalled for {:?}", start.elapsed());
    }
    echo(&connect, 4 << 20, || far.relay.move_laptop());
    assert!(!connect.process.errors().contains("lost"), "{}", connect.process.errors());
}

#[test]
fn loss_and_reordering_change_no_byte() {
    let far = Far::new();
    let connect = far.laptop.connect(&[]);
    far.relay.weather(Weather { loss: 50, reorder: 20, ..QUIET });
    let took = echo(&connect, 16 << 20, || ());
    eprintln!("16 MiB each way at 5 % loss: {took:?}, {} datagrams", far.relay.datagrams());
    far.relay.weather(Weather { jitter: Duration::from_millis(5), rate: Some(20_000_000), ..QUIET });
    echo(&connect, 2 << 20, || ());
}

#[test]
fn a_path_that_swallows_large_datagrams_is_found_out() {
    let far = Far::new();
    let connect = far.laptop.connect(&[]);
    // By now larger ones are in use.
    echo(&connect, 2 << 20, || ());
    far.relay.weather(Weather { mtu: Some(1250), ..QUIET });
    echo(&connect, 2 << 20, || ());
    assert!(!connect.process.errors().contains("reconnect"), "{}", connect.process.errors());
}

#[test]
fn three_hundred_milliseconds_away_a_warm_request_takes_one_round_trip() {
    let distant = Weather { delay: Duration::from_millis(150), ..QUIET };
    for carrier in ["quic", "tcp"] {
        let far = Far::in_weather(distant);
        let connect = far.laptop.connect(&["--transport", carrier]);
        assert_eq!(transport(&connect), carrier);
        let start = Instant::now();
        assert!(status(&connect).contains("200"));
        let took = start.elapsed();
        eprintln!("300 ms away over {carrier}: {took:?}");
        assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(1200), "{took:?}");
        assert!(!connect.process.errors().contains("does not answer"), "{}", connect.process.errors());
    }
}

#[test]
fn a_captive_portal_is_never_believed_and_the_way_back_is_found() {
    let far = Far::new();
    let connect = far.laptop.connect(&[]);
    let _stream = far.stream(&connect);
    far.relay.weather(Weather { portal: true, ..QUIET });
    let said = connect.process.wait_for_line("not connected:");
    assert!(said.contains("is this a hoopctl gateway's address?"), "{said}");
    assert!(connect.get("/bytes/5").0.starts_with("http/1.1 503"));
    fails(&far.laptop.run(&["models"]), 7, &["TLS failed"]);

    // Somebody else's TLS, without any trick.
    let stranger = Model::start();
    far.relay.lead_to(stranger.address.port());
    far.relay.weather(NO_UDP);
    fails(&far.laptop.run(&["models"]), 7, &["trust"]);
    assert_eq!(stranger.requests(), 0);

    far.relay.lead_to(far.world.port);
    far.relay.weather(QUIET);
    // Over the old connection, if that has outlived the portal, or over another.
    eventually("the way back", || status(&connect).contains("200").then_some(()));
}

#[test]
fn a_restart_lets_streams_end_and_the_port_stays() {
    let mut far = Far::new();
    let connect = far.laptop.connect(&[]);
    let mut stream = far.stream(&connect);
    signal(far.world.gateway_id(), rustix::process::Signal::TERM);
    connect.process.wait_for_line("going away");
    far.event(&mut stream, "while it drains");
    assert!(connect.get("/bytes/5").0.starts_with("http/1.1 503"));
    far.model.hush();
    stream.wait_for("\r\n0\r\n\r\n");
    assert!(far.world.ended().status.success());
    far.world.start();
    connect.process.wait_for_line("reconnected over");
    assert!(status(&connect).contains("200"));
}

#[test]
fn the_tcp_leg_and_the_login_go_through_the_proxy_with_its_password() {
    let model = Model::start();
    let mut world = World::new();
    world.model("m", &model.url(), &format!("ca = \"{}\"", model.ca_file(world.dir.path()).display()));
    // Only the proxy knows this name, for which there must be no `dev` provider.
    world.people.clear();
    world.url = format!("https://gateway.example.test:{}", world.port);
    world.start();
    let password = ["open", "sesame"].concat();
    let proxy = Proxy::start("Basic dXNlcjpvcGVuc2VzYW1l");
    let laptop = world.laptop("ana");
    let command = |credentials: &str, variable: &str| {
        let mut command = laptop.command();
        command.env(variable, format!("http://{credentials}127.0.0.1:{}", proxy.port));
        command.env("HOOPCTL_WORKLOAD_TOKEN", world.issuer.token("ana", &["ml"], Duration::from_secs(600)));
        command
    };
    for (credentials, words) in [("", "wants a user and a password"), ("user:wrong@", "does not accept")] {
        let mut login = command(credentials, "HTTPS_PROXY");
        login.arg("login").arg(&world.url).arg("--ca-file").arg(world.ca());
        let output = login.output().unwrap();
        fails(&output, 6, &["407", words, "http://USER:PASSWORD@HOST:PORT"]);
        assert!(!text(&output.stderr).contains("wrong"), "{}", text(&output.stderr));
    }
    let mut login = command(&format!("user:{password}@"), "https_proxy");
    login.arg("login").arg(&world.url).arg("--ca-file").arg(world.ca());
    succeed(login);
    let mut connecting = command(&format!("user:{password}@"), "HTTPS_PROXY");
    connecting.env("HOOPCTL_LOG", "trace").args(["-vv", "-o", "json", "connect", "m"]);
    let connect = laptop.connected(connecting);
    assert_eq!(transport(&connect), "tcp");
    assert!(status(&connect).contains("200"));
    assert!(!connect.process.errors().contains(&password), "{}", connect.process.errors());
    assert!(!connect.process.errors().contains("dXNlcjpvcGVuc2VzYW1l"));
    let target = format!("CONNECT gateway.example.test:{} HTTP/1.1\r\n", world.port);
    let asked = proxy.asked();
    assert!(asked.iter().all(|head| head.starts_with(&target)), "{asked:?}");

    // Named in NO_PROXY the host is looked for without it, and nobody here knows it.
    let mut past = command(&format!("user:{password}@"), "HTTPS_PROXY");
    past.env("NO_PROXY", ".example.test").arg("models");
    fails(&past.output().unwrap(), 6, &["cannot be resolved"]);
    assert_eq!(proxy.asked().len(), asked.len());
}
