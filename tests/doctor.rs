//! `hoopctl doctor` as people and scripts run it: logged in, without a login, offline, behind a proxy, with tools that go elsewhere.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::world::{Laptop, Model, World, fails, free_port, text};

/// Every check in time: the promise is about 10 s, and slow machines get a little more here.
const PROMISED: Duration = Duration::from_secs(20);

fn doctor(laptop: &Laptop, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command: Command = laptop.command();
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "https_proxy", "NO_PROXY", "no_proxy"]
    {
        command.env_remove(name);
    }
    for name in ["OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "OLLAMA_HOST"] {
        command.env_remove(name);
    }
    command.args(["-o", "json", "doctor"]).args(args).envs(environment.iter().copied());
    let start = Instant::now();
    let output = command.output().unwrap();
    assert!(start.elapsed() < PROMISED, "it took {:?}", start.elapsed());
    output
}

fn findings(output: &Output) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {} {}", text(&output.stdout), text(&output.stderr)));
    for one in &all {
        let keys: Vec<&String> = one.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "status", "detail", "action"], "{one}");
        assert!(one["status"] != "fail" || one["action"].is_string(), "a failure says what to do: {one}");
    }
    all
}

fn status<'f>(findings: &'f [Value], check: &str) -> (&'f str, String) {
    let one = findings.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("no {check}"));
    (one["status"].as_str().unwrap(), one.to_string())
}

#[test]
fn whoever_is_logged_in_sees_every_check_pass() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    let output = doctor(&laptop, &[], &[]);
    let found = findings(&output);
    for one in &found {
        assert_eq!(one["status"], "pass", "{one}");
    }
    assert_eq!(output.status.code(), Some(0));
    for (check, words) in [
        ("dns", "localhost"),
        ("tcp", "connected"),
        ("tls", "X25519MLKEM768"),
        ("gateway", "hoopctl/"),
        ("udp", "QUIC"),
        ("mtu", "bytes pass"),
        ("login", "welcome"),
        ("keyring", "file"),
        ("port", "1 served by hoopctl"),
    ] {
        assert!(status(&found, check).1.contains(words), "{words}: {}", status(&found, check).1);
    }
    // Having looked changed nothing: what ran goes on, and nothing is left behind.
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"));

    let mut plain = laptop.command();
    let said = plain.arg("doctor").output().unwrap();
    assert!(text(&said.stdout).contains("✓ pass  tls"), "{}", text(&said.stdout));
    assert!(!text(&said.stdout).contains('\u{1b}'), "no colours without a terminal");
}

#[test]
fn without_a_login_and_offline_it_still_says_what_it_can() {
    let mut world = World::new();
    world.start();
    let stranger = world.laptop("stranger");
    let output = doctor(&stranger, &[], &[]);
    let found = findings(&output);
    assert_eq!(output.status.code(), Some(0), "nothing failed: {found:?}");
    for check in ["dns", "udp", "mtu", "tcp", "proxy", "tls", "clock", "login"] {
        assert_eq!(status(&found, check).0, "skip");
    }
    for check in ["keyring", "port", "tools"] {
        assert_eq!(status(&found, check).0, "pass", "{}", status(&found, check).1);
    }

    // A gateway with a CA of its own, before anybody has said that it is to be believed.
    let output = doctor(&stranger, &[&world.url], &[]);
    let found = findings(&output);
    assert_eq!(output.status.code(), Some(0), "{found:?}");
    let (tls, words) = status(&found, "tls");
    assert!(tls == "skip" && words.contains("sha256:") && words.contains("--ca-fingerprint"), "{words}");
    assert_eq!(status(&found, "udp").0, "pass", "{}", status(&found, "udp").1);

    let nobody = format!("https://127.0.0.1:{}", free_port());
    let output = doctor(&stranger, &[&nobody], &[]);
    let found = findings(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((status(&found, "tcp").0, status(&found, "tls").0), ("fail", "skip"));

    fails(&doctor(&stranger, &["http://gw.example.test"], &[]), 2, &["TLS is mandatory"]);
}

#[test]
fn tools_that_go_past_are_named_and_so_are_their_files() {
    let world = World::new();
    let laptop = world.laptop("l");
    std::fs::create_dir_all(laptop.home.join(".codex")).unwrap();
    std::fs::write(
        laptop.home.join(".codex/config.toml"),
        "[model_providers.x]\nbase_url = \"https://api.vendor.example.test/v1\"\n",
    )
    .unwrap();
    let output = doctor(
        &laptop,
        &[],
        &[("OPENAI_BASE_URL", "https://api.openai.com/v1"), ("HTTP_PROXY", "http://u:pw@proxy.test:3128")],
    );
    assert_eq!(output.status.code(), Some(1));
    let found = findings(&output);
    let tools: Vec<String> =
        found.iter().filter(|one| one["check"] == "tools").map(Value::to_string).collect();
    assert_eq!(tools.len(), 3, "{tools:?}");
    for words in ["OPENAI_BASE_URL", "api.vendor.example.test", "NO_PROXY"] {
        assert!(tools.iter().any(|one| one.contains(words)), "{words}: {tools:?}");
    }
    assert!(!text(&output.stdout).contains("pw@"), "no password is repeated");
}

#[test]
fn a_proxy_that_refuses_is_the_reason_that_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ =
                stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let world = World::new();
    let laptop = world.laptop("l");
    let gateway = "https://gateway.hoopctl.invalid";
    let output = doctor(&laptop, &[gateway], &[("HTTPS_PROXY", &proxy)]);
    let found = findings(&output);
    assert_eq!(output.status.code(), Some(1));
    let (proxied, words) = status(&found, "proxy");
    assert!(proxied == "fail" && words.contains("407") && words.contains("HTTPS_PROXY"), "{words}");
    for check in ["dns", "tcp", "tls"] {
        assert_eq!(status(&found, check).0, "skip", "{}", status(&found, check).1);
    }
    // Named in NO_PROXY, it is not asked.
    let exempt = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "hoopctl.invalid")];
    let found = findings(&doctor(&laptop, &[gateway], &exempt));
    assert_eq!((status(&found, "proxy").0, status(&found, "dns").0), ("pass", "fail"));
}
