//! A hermetic world for one test: a folder, a model behind TLS, a gateway process, laptops with homes of their own.

mod issuer;
mod model;
mod person;
mod proxy;
mod relay;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    time::Duration,
};

use hoopctl::tls::{self, Trust};
use rustls::{ClientConnection, StreamOwned};

pub use issuer::Issuer;
pub use model::Model;
pub use proxy::Proxy;
pub use relay::{Relay, Weather};

/// How long anything may take before a test gives up; a bound, not a wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn hoopctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hoopctl"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOOPCTL_") || name.to_string_lossy().starts_with("ACTIONS_ID_")
        {
            command.env_remove(name);
        }
    }
    for name in ["BROWSER", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command
}

pub type Https = StreamOwned<ClientConnection, TcpStream>;

pub struct World {
    pub dir: tempfile::TempDir,
    pub issuer: Issuer,
    pub url: String,
    pub port: u16,
    pub models: String,
    pub extra: String,
    /// Who can be chosen at the `dev` provider, as its `users` has it; empty: there is no such provider.
    pub people: String,
    gateway: Option<Process>,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/policies")).unwrap();
        let issuer = Issuer::new();
        fs::write(dir.path().join("etc/jwks.json"), issuer.jwks()).unwrap();
        let port = free_port();
        let world = Self {
            dir,
            issuer,
            url: format!("https://localhost:{port}"),
            port,
            models: String::new(),
            extra: String::new(),
            people: r#"{ name = "alice", groups = ["ml"] }, { name = "bob", groups = [] }"#.to_owned(),
            gateway: None,
        };
        world.policy(
            r#"@id("ml") permit(principal in Group::"ml", action in [Action::"list", Action::"invoke", Action::"read_audit"], resource);"#,
        );
        world
    }

    /// A world with one model `m` behind TLS and a running gateway.
    pub fn with_model(model: &Model) -> Self {
        let mut world = Self::new();
        world.model("m", &model.url(), &format!("ca = \"{}\"", model.ca_file(world.dir.path()).display()));
        world.start();
        world
    }

    pub fn etc(&self) -> PathBuf {
        self.dir.path().join("etc")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn ca(&self) -> PathBuf {
        self.state().join("ca.pem")
    }

    pub fn config(&self) -> PathBuf {
        self.etc().join("gateway.toml")
    }

    pub fn policy(&self, text: &str) {
        fs::write(self.etc().join("policies/all.cedar"), text).unwrap();
    }

    pub fn model(&mut self, name: &str, upstream: &str, rest: &str) {
        self.models += &format!("[[model]]\nname = \"{name}\"\nupstream = \"{upstream}\"\n{rest}\n");
    }

    pub fn write_config(&self) {
        let dev = match self.people.as_str() {
            "" => String::new(),
            people => format!("[[identity]]\nkind = \"dev\"\nusers = [{people}]"),
        };
        let text = format!(
            r#"[gateway]
public_url = "{url}"
listen = "127.0.0.1:{port}"
state = "{state}"
policies = "policies"
{extra}
[[identity]]
kind = "workload"
name = "ci"
issuer = "https://ci.example.test"
audience = "hoopctl"
jwks = "jwks.json"
groups_claim = "groups"
{dev}
{models}"#,
            url = self.url,
            port = self.port,
            state = self.state().display(),
            extra = self.extra,
            dev = dev,
            models = self.models,
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Starts the gateway and waits for its word that it is ready.
    pub fn start(&mut self) {
        self.write_config();
        let mut command = hoopctl();
        command.args(["gateway", "run", "--config"]).arg(self.config());
        command.env("HOOPCTL_LOG", "info");
        let process = Process::start(command);
        process.wait_for_line("serves on");
        self.gateway = Some(process);
    }

    pub fn gateway_id(&self) -> u32 {
        self.gateway.as_ref().unwrap().child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut process = self.gateway.take().unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status of a clean end.
    pub fn stop(&mut self) -> Output {
        self.gateway.take().unwrap().terminate()
    }

    /// The gateway's end, which it was asked for before.
    pub fn ended(&mut self) -> Output {
        self.gateway.take().unwrap().ended()
    }

    pub fn laptop(&self, name: &str) -> Laptop {
        let home = self.dir.path().join(name);
        fs::create_dir_all(&home).unwrap();
        Laptop { home, ca: self.ca() }
    }

    /// A connection to the gateway's HTTPS port that speaks HTTP/1.1.
    pub fn https(&self) -> Https {
        let roots = tls::parse_certificates(&fs::read_to_string(self.ca()).unwrap(), "ca").unwrap();
        let mut config = tls::https_client(&Trust::Roots(roots)).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(session, stream)
    }

    /// One HTTPS exchange on a connection of its own: the head, in lower case, and all that follows it.
    pub fn https_exchange(&self, request: &str) -> (String, Vec<u8>) {
        let mut line = self.https();
        line.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        line.read_to_end(&mut answer).unwrap();
        split_head(&answer)
    }

    /// A laptop on which a person of the `dev` provider has logged in, through a browser.
    pub fn person(&self, name: &str) -> Laptop {
        let laptop = self.laptop(name);
        let mut command = laptop.command();
        command.args(["login", &self.url, "--no-browser", "--ca-file"]).arg(self.ca());
        let login = Process::start(command);
        let address = login.wait_for_line("https://");
        person::sign_in(self, address.trim(), name);
        let ended = login.ended();
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        laptop
    }

    /// A laptop logged in as a workload with these groups.
    pub fn logged_in(&self, name: &str, groups: &[&str]) -> Laptop {
        let laptop = self.laptop(name);
        let token = self.issuer.token(name, groups, Duration::from_secs(600));
        let mut command = laptop.command();
        command
            .env("HOOPCTL_WORKLOAD_TOKEN", token)
            .arg("login")
            .arg(&self.url)
            .arg("--ca-file")
            .arg(self.ca());
        succeed(command);
        laptop
    }
}

pub struct Laptop {
    pub home: PathBuf,
    pub ca: PathBuf,
}

impl Laptop {
    pub fn command(&self) -> Command {
        let mut command = hoopctl();
        command
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("XDG_STATE_HOME", self.home.join("state"))
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env("XDG_RUNTIME_DIR", &self.home)
            .env("HOOPCTL_CREDENTIAL_STORE", "file")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut command = self.command();
        command.args(["-o", "json"]).args(args);
        serde_json::from_slice(&succeed(command).stdout).unwrap()
    }

    /// Audit events of finished exchanges with the model `m`.
    pub fn exchanges(&self) -> Vec<serde_json::Value> {
        let answer = self.json(&["audit", "query", "--kind", "exchange"]);
        answer["events"].as_array().unwrap().clone()
    }

    /// A running `connect m`, after it said that it can serve.
    pub fn connect(&self, args: &[&str]) -> Connected {
        let mut command = self.command();
        command.args(["-o", "json", "connect", "m"]).args(args);
        self.connected(command)
    }

    /// The running `connect` of a command, after it said that it can serve.
    pub fn connected(&self, command: Command) -> Connected {
        let mut process = Process::start(command);
        let line = process.first_line();
        let said: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("connect said {line:?} ({e}): {}", process.errors()));
        Connected { said, process }
    }
}

pub struct Connected {
    pub said: serde_json::Value,
    pub process: Process,
}

impl Connected {
    pub fn port(&self) -> u16 {
        self.said["port"].as_u64().unwrap().try_into().unwrap()
    }

    pub fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// One HTTP/1.1 exchange on a connection of its own: the head and all that follows it.
    pub fn exchange(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.open();
        stream.write_all(request.replace("HOST", &format!("127.0.0.1:{}", self.port())).as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        split_head(&answer)
    }

    /// `GET path` with `connection: close`.
    pub fn get(&self, path: &str) -> (String, Vec<u8>) {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n"))
    }
}

pub fn split_head(answer: &[u8]) -> (String, Vec<u8>) {
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(answer)));
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

/// A child process that ends with the test; its stderr is read all the time and kept.
pub struct Process {
    pub child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    errors: Arc<std::sync::Mutex<String>>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = Arc::new(std::sync::Mutex::new(String::new()));
        let (tell, lines) = mpsc::channel();
        let (stderr, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&errors));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
                let _ = tell.send(line);
            }
        });
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout, errors, lines }
    }

    /// Waits for a line on stderr that holds `text`.
    pub fn wait_for_line(&self, text: &str) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("{text:?} never came: {}", self.errors()),
            }
        }
    }

    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Its end, which comes by itself, with all that it said.
    pub fn ended(mut self) -> Output {
        let mut stdout = Vec::new();
        self.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        // Its stderr has been read to the end when nobody can tell of a further line.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        Output { status, stdout, stderr: self.errors().into_bytes() }
    }

    pub fn terminate(mut self) -> Output {
        signal(self.child.id(), rustix::process::Signal::TERM);
        let status = self.child.wait().unwrap();
        Output { status, stdout: Vec::new(), stderr: self.errors().into_bytes() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stderr of process {}\n{}", self.child.id(), self.errors());
        }
    }
}

pub fn signal(id: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

pub fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {:?}\nstdout: {}\nstderr: {}",
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// Asserts the exit code and that the error names each of `words`.
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {errors}", text(&output.stdout));
    for word in words {
        assert!(errors.contains(word), "{word:?} is not in: {errors}");
    }
    assert!(!errors.contains("panicked"), "{errors}");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A port that nobody has, of those that the system gives to no connection by itself (it takes 32768 and up) and `connect` to no model
/// (20000 and up): whoever is told it finds it free a moment later.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const MANY: u16 = 8_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run beside this one begin elsewhere.
    let start = u16::try_from(std::process::id() * 97 % u32::from(MANY)).unwrap();
    for _ in 0..MANY {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % MANY) % MANY;
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Asks again until the answer is there; a bound in time, not a wait for luck.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < end, "{what} never came");
        std::thread::yield_now();
    }
}

/// Resident memory of a process, KiB.
pub fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
