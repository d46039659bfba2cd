//! The ways to the model that are compared, each as processes of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use hoopctl::tls::Trust;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::{
    issuer::Issuer,
    load::{Ingress, Target},
    process::Process,
    relay::Relay,
};

/// One way: where the application connects, and the processes between it and the model (laptop first).
pub struct Shape {
    pub name: &'static str,
    target: Target,
    pair: Vec<Process>,
    /// A workload's own token, where the application talks to the gateway itself: access tokens are shorter than a benchmark.
    subject: Option<String>,
}

impl Shape {
    /// The door, with a fresh token where it needs one.
    pub async fn target(&self) -> Target {
        self.ticket().target().await
    }

    /// The laptop, where there is one, then the gateway.
    pub fn processes(&self) -> &[Process] {
        &self.pair
    }

    /// The door alone, for a task of its own.
    pub fn ticket(&self) -> Ticket {
        Ticket { target: self.target.clone(), subject: self.subject.clone() }
    }

    pub fn cpu(&self) -> f64 {
        self.pair.iter().map(Process::cpu).sum()
    }

    pub fn resident_kib(&self) -> f64 {
        self.pair.iter().map(Process::resident_kib).sum()
    }

    pub fn laptop_kib(&self) -> f64 {
        self.pair.first().map_or(0.0, Process::resident_kib)
    }

    pub fn is_pair(&self) -> bool {
        self.pair.len() == 2
    }
}

/// Where a way begins, without its processes.
pub struct Ticket {
    target: Target,
    subject: Option<String>,
}

impl Ticket {
    /// The door, with a fresh token where it needs one.
    pub async fn target(&self) -> Target {
        let mut target = self.target.clone();
        if let Some(subject) = &self.subject {
            let token = crate::load::token(&target, subject).await;
            target.ingress = Some(Ingress { prefix: "/models/m", token });
        }
        target
    }
}

/// A folder with certificates and configurations, and the model.
pub struct World {
    dir: tempfile::TempDir,
    model_port: u16,
    url: String,
    issuer: Issuer,
    _model: Option<Process>,
    gateway: Option<Process>,
}

impl World {
    /// A world whose client certificates live so long, such as `1m`.
    pub fn with_credentials_of(life: &str) -> Self {
        let mut world = Self::before_gateway();
        world.start_gateway(&format!("[sessions]\ncredential_life = \"{life}\"\n"));
        world
    }

    pub fn start() -> Self {
        let mut world = Self::before_gateway();
        world.start_gateway("");
        world
    }

    /// A world whose gateway is reached through something that stands before its port.
    pub fn behind(stand: impl FnOnce(u16) -> Relay) -> (Self, Relay) {
        let mut world = Self::before_gateway();
        let port = free_port();
        let relay = stand(port);
        world.url = format!("https://localhost:{}", relay.port);
        world.start_gateway_on(port, "");
        (world, relay)
    }

    /// Our ways to the model: over QUIC, over TLS, and direct ingress.
    pub fn ours(&self) -> Vec<Shape> {
        vec![self.hoopctl("hoopctl quic", "quic", ""), self.hoopctl("hoopctl tls", "tcp", ""), self.ingress()]
    }

    /// The gateway's address.
    pub fn url(&self) -> url::Url {
        self.url.parse().unwrap()
    }

    /// The certificate authority's file.
    pub fn ca(&self) -> PathBuf {
        self.file("state/ca.pem")
    }

    /// A folder for somebody's files.
    pub fn home(&self, who: &str) -> PathBuf {
        self.dir.path().join("homes").join(who)
    }

    /// A workload's token in somebody's name.
    pub fn token_of(&self, who: &str, life: Duration) -> String {
        self.issuer.token(who, &["ml"], life)
    }

    pub fn gateway_cpu(&self) -> f64 {
        self.gateway.as_ref().map_or(0.0, Process::cpu)
    }

    fn before_gateway() -> Self {
        let dir = tempfile::tempdir().unwrap();
        certificates(dir.path());
        let mut command = myself();
        command.arg("part-model").arg(dir.path());
        let (model, line) = Process::start(command, "port", true);
        Self {
            dir,
            model_port: port_in(&line),
            url: String::new(),
            issuer: Issuer::new(),
            _model: Some(model),
            gateway: None,
        }
    }

    pub fn shapes(&self) -> Vec<Shape> {
        let roots = hoopctl::tls::parse_certificates(&fs::read_to_string(self.file("ca.pem")).unwrap(), "ca")
            .unwrap();
        let mut tls = hoopctl::tls::https_client(&Trust::Roots(roots)).unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let direct = Target { port: self.model_port, tls: Some(Arc::new(tls)), ingress: None };
        let mut shapes = vec![
            Shape { name: "direct", target: direct, pair: Vec::new(), subject: None },
            self.bare("bare quic", "quic"),
            self.bare("bare tls", "tcp"),
        ];
        shapes.extend(self.ours());
        for (name, program) in [("haproxy", "/usr/sbin/haproxy"), ("nginx", "/usr/sbin/nginx")] {
            if Path::new(program).exists() {
                shapes.push(self.peer(name, program));
            } else {
                eprintln!("{name} is not installed: its column is left out");
            }
        }
        shapes
    }

    /// User and system time of a `connect` from its start to the first byte through it, milliseconds.
    pub fn cold_start_cpu_ms(&self) -> f64 {
        let (process, target) = self.connect("quic", "cold");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(crate::load::new_connections(&target, 1));
        process.cpu() * 1_000.0
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn bare(&self, name: &'static str, carrier: &str) -> Shape {
        let mut command = myself();
        command
            .args(["part-bare-gateway"])
            .arg(self.dir.path())
            .arg(carrier)
            .arg(self.model_port.to_string());
        let (gateway, line) = Process::start(command, "port", true);
        let mut command = myself();
        command.args(["part-bare-laptop"]).arg(self.dir.path()).arg(carrier).arg(port_in(&line).to_string());
        let (laptop, line) = Process::start(command, "port", true);
        Shape {
            name,
            target: Target { port: port_in(&line), tls: None, ingress: None },
            pair: vec![laptop, gateway],
            subject: None,
        }
    }

    fn start_gateway(&mut self, more: &str) {
        let port = free_port();
        self.url = format!("https://localhost:{port}");
        self.start_gateway_on(port, more);
    }

    fn start_gateway_on(&mut self, port: u16, more: &str) {
        let issuer = &self.issuer;
        fs::create_dir_all(self.file("policies")).unwrap();
        fs::write(self.file("jwks.json"), issuer.jwks()).unwrap();
        fs::write(self.file("token"), issuer.token("bench", &["ml"], Duration::from_secs(3600))).unwrap();
        fs::write(
            self.file("policies/all.cedar"),
            r#"@id("ml") permit(principal in Group::"ml", action, resource);"#,
        )
        .unwrap();
        fs::write(
            self.file("gateway.toml"),
            format!(
                "[gateway]\npublic_url = \"{}\"\nlisten = \"127.0.0.1:{port}\"\nstate = \"{}\"\npolicies = \"policies\"\n\
                 [[identity]]\nkind = \"workload\"\nname = \"ci\"\nissuer = \"https://ci.example.test\"\naudience = \"hoopctl\"\n\
                 jwks = \"jwks.json\"\ngroups_claim = \"groups\"\n\
                 [[model]]\nname = \"m\"\nupstream = \"https://localhost:{}\"\nca = \"ca.pem\"\n{more}",
                self.url,
                self.file("state").display(),
                self.model_port
            ),
        )
        .unwrap();
        let mut command = hoopctl();
        command
            .args(["gateway", "run", "--config"])
            .arg(self.file("gateway.toml"))
            .env("HOOPCTL_LOG", "info");
        self.gateway = Some(Process::start(command, "serves on", false).0);
    }

    /// hoopctl's own pair. Each shape has a gateway of its own, so that its processor time is its own.
    fn hoopctl(&self, name: &'static str, carrier: &str, model: &str) -> Shape {
        let mut other = self.other(model);
        let (laptop, target) = other.connect(carrier, "home");
        let gateway = other.gateway.take().unwrap();
        // The folder must outlive the processes; the operating system cleans its temporary folder.
        std::mem::forget(other.dir);
        Shape { name, target, pair: vec![laptop, gateway], subject: None }
    }

    /// The gateway alone, its application with a token of its own.
    fn ingress(&self) -> Shape {
        let mut other = self.other("");
        let ca = fs::read_to_string(other.file("state/ca.pem")).unwrap();
        let roots = hoopctl::tls::parse_certificates(&ca, "ca").unwrap();
        let mut tls = hoopctl::tls::https_client(&Trust::Roots(roots)).unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let target = Target { port: port_in(&other.url), tls: Some(Arc::new(tls)), ingress: None };
        let subject = fs::read_to_string(other.file("token")).unwrap();
        let gateway = other.gateway.take().unwrap();
        std::mem::forget(other.dir);
        Shape { name: "ingress", target, pair: vec![gateway], subject: Some(subject) }
    }

    /// hoopctl's pair over TLS, whose exchanges are recorded and are not.
    pub fn recorded(&self) -> Vec<Shape> {
        vec![self.hoopctl("not recorded", "tcp", ""), self.hoopctl("recorded", "tcp", "record = \"full\"\n")]
    }

    /// A gateway of its own before the same model, of which more may be said.
    fn other(&self, model: &str) -> Self {
        let mut other = Self {
            dir: tempfile::tempdir().unwrap(),
            model_port: self.model_port,
            url: String::new(),
            issuer: Issuer::new(),
            _model: None,
            gateway: None,
        };
        fs::copy(self.file("ca.pem"), other.file("ca.pem")).unwrap();
        other.start_gateway(model);
        other
    }

    /// A laptop's local port, and its process.
    pub fn connect(&self, carrier: &str, home: &str) -> (Process, Target) {
        let home = self.file(home);
        let laptop = || {
            let mut command = hoopctl();
            for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
                command.env(name, &home);
            }
            command.env("HOOPCTL_CREDENTIAL_STORE", "file").env("HOOPCTL_TRANSPORT", carrier);
            command
        };
        fs::create_dir_all(&home).unwrap();
        let mut command = laptop();
        command.arg("login").arg(&self.url).arg("--ca-file").arg(self.file("state/ca.pem"));
        command.arg("--workload-token-file").arg(self.file("token"));
        assert!(command.status().unwrap().success(), "login");
        let mut command = laptop();
        command.args(["connect", "m", "--port", "0"]);
        let (process, line) = Process::start(command, "http", true);
        (process, Target { port: port_in(&line), tls: None, ingress: None })
    }

    /// haproxy or nginx twice: local port → TLS → TLS → model.
    fn peer(&self, name: &'static str, program: &str) -> Shape {
        let (near, far) = (free_port(), free_port());
        let dir = self.dir.path().display();
        let mut pair = Vec::new();
        for (role, listen, forward) in [("far", far, self.model_port), ("near", near, far)] {
            let file = self.file(&format!("{name}-{role}.conf"));
            let text = match name {
                "haproxy" => {
                    let tls = if role == "far" {
                        format!(" ssl crt {dir}/model.both ssl-min-ver TLSv1.3")
                    } else {
                        String::new()
                    };
                    format!(
                        "global\n  nbthread 2\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  \
                         option http-no-delay\n  http-reuse always\nfrontend f\n  bind 127.0.0.1:{listen}{tls}\n  default_backend b\n\
                         backend b\n  server s 127.0.0.1:{forward} ssl verify required ca-file {dir}/ca.pem sni str(localhost)\n"
                    )
                }
                _ => {
                    let tls = if role == "far" {
                        format!(
                            " ssl; ssl_certificate {dir}/model.pem; ssl_certificate_key {dir}/model.key; ssl_protocols TLSv1.3"
                        )
                    } else {
                        String::new()
                    };
                    format!(
                        "daemon off; pid {dir}/{role}.pid; error_log stderr crit; worker_processes 2; events {{ worker_connections 4096; }}\n\
                         http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {dir}/b{role}; proxy_temp_path {dir}/p{role};\n\
                         fastcgi_temp_path {dir}/f{role}; uwsgi_temp_path {dir}/u{role}; scgi_temp_path {dir}/s{role};\n\
                         upstream u {{ server 127.0.0.1:{forward}; keepalive 256; keepalive_requests 1000000; }}\n\
                         server {{ listen 127.0.0.1:{listen}{tls}; location / {{ proxy_pass https://u; proxy_http_version 1.1;\n\
                         proxy_set_header Connection \"\"; proxy_buffering off; proxy_ssl_verify on; proxy_ssl_name localhost;\n\
                         proxy_ssl_trusted_certificate {dir}/ca.pem; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3; }} }} }}\n"
                    )
                }
            };
            fs::write(&file, text).unwrap();
            let mut command = Command::new(program);
            if name == "haproxy" {
                command.arg("-db").arg("-f").arg(&file);
            } else {
                command.arg("-p").arg(self.dir.path()).arg("-c").arg(&file);
            }
            pair.insert(0, Process::start_on_port(command, listen));
        }
        Shape { name, target: Target { port: near, tls: None, ingress: None }, pair, subject: None }
    }
}

fn myself() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// Another build of it, to compare, with `HOOPCTL_BENCH_BINARY`.
fn hoopctl() -> Command {
    let other = std::env::var_os("HOOPCTL_BENCH_BINARY");
    Command::new(other.as_deref().unwrap_or(env!("CARGO_BIN_EXE_hoopctl").as_ref()))
}

/// The number at the end of a line such as `port 4711` or `http://127.0.0.1:4711`.
fn port_in(line: &str) -> u16 {
    let line = line.trim().trim_end_matches('/');
    line.rsplit([' ', ':']).next().unwrap().parse().unwrap()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A CA and one leaf that serves as everybody's certificate: the model's, the peers', and both ends of the bare tunnel.
fn certificates(dir: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Under one name OpenSSL would take the leaf for its own issuer.
    authority.distinguished_name.push(DnType::CommonName, "hoopctl benchmark CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
    fs::write(dir.join("model.pem"), leaf.pem()).unwrap();
    fs::write(dir.join("model.key"), key.serialize_pem()).unwrap();
    fs::write(dir.join("model.both"), leaf.pem() + &key.serialize_pem()).unwrap();
}
