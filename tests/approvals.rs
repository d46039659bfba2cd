//! Approvals as people meet them: they log in through a browser, one waits, another says yes or no.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::world::{Connected, Laptop, Model, Process, World, eventually, fails, split_head, text};

/// What a stream may live on after its approval.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// What everybody may do without an approval.
const BASE: &str = r#"
    @id("ml") permit(principal in Group::"ml-engineers", action == Action::"list", resource);
    @id("auditors") permit(principal in Group::"auditors", action == Action::"read_audit", resource);"#;

/// A gateway with the model `fraud`, for which people of `ml-engineers` need `needed` yeses of `risk-leads`.
fn world(model: &Model, needed: u32) -> World {
    let mut world = prepared(model);
    world.policy(&policy("fraud-jit", needed));
    world.start();
    world
}

/// A world with the models `fraud` and `other` and four people, not started yet.
fn prepared(model: &Model) -> World {
    let mut world = World::new();
    world.people = [
        r#"{ name = "alice", groups = ["ml-engineers", "risk-leads"] }"#,
        r#"{ name = "bob", groups = ["risk-leads"] }"#,
        r#"{ name = "carol", groups = ["risk-leads"] }"#,
        r#"{ name = "dave", groups = ["ml-engineers"] }"#,
    ]
    .join(", ");
    let rest = format!("dialect = \"openai\"\nca = \"{}\"", model.ca_file(world.dir.path()).display());
    for name in ["fraud", "other"] {
        world.model(name, &model.url(), &rest);
    }
    world
}

/// Policies that let `ml-engineers` use each model with an approval.
fn policy(id: &str, needed: u32) -> String {
    let jit = |id: &str, model: &str| {
        format!(
            r#"@id("{id}") @approvers("risk-leads") @lasts("1h") @approvals_needed("{needed}")
               permit(principal in Group::"ml-engineers", action == Action::"invoke", resource == Model::"{model}")
               when {{ context.approved }};"#
        )
    };
    BASE.to_owned() + &jit(id, "fraud") + &jit("other-jit", "other")
}

fn connect(laptop: &Laptop, args: &[&str]) -> Connected {
    let mut command = laptop.command();
    command.args(["-o", "json", "connect", "fraud"]).args(args);
    laptop.connected(command)
}

/// Sends `GET path` and leaves the answer to come.
fn ask(connect: &Connected, path: &str) -> TcpStream {
    let mut app = connect.open();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n", connect.port());
    app.write_all(request.as_bytes()).unwrap();
    app
}

fn answer(mut app: TcpStream) -> (String, String) {
    let mut answer = Vec::new();
    app.read_to_end(&mut answer).unwrap();
    let (head, body) = split_head(&answer);
    (head, text(&body))
}

/// The id of what a program on a laptop says it waits for.
fn waits(process: &Process) -> String {
    id_in(&process.wait_for_line("waits for approval"))
}

fn id_in(line: &str) -> String {
    let from = line.find("apr_").unwrap_or_else(|| panic!("no id in {line:?}"));
    line[from..].chars().take_while(|one| one.is_ascii_alphanumeric() || *one == '_').collect()
}

fn state(laptop: &Laptop, id: &str) -> String {
    laptop.json(&["approvals", "show", id])["state"].as_str().unwrap().to_owned()
}

fn approve(laptop: &Laptop, id: &str) {
    laptop.json(&["approvals", "approve", id]);
}

/// What `models` says a person may do with a model.
fn access(laptop: &Laptop, model: &str) -> String {
    let listed = laptop.run(&["models", "-o", "jsonl"]);
    let models = text(&listed.stdout);
    let of = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let found = models.lines().map(of).find(|one| one["name"] == model);
    found.map_or_else(|| "none".to_owned(), |one| one["access"].as_str().unwrap().to_owned())
}

/// Events of this kind, as an auditor sees them.
fn audited(auditor: &Laptop, kind: &str) -> Vec<Value> {
    auditor.json(&["audit", "query", "--kind", kind])["events"].as_array().unwrap().clone()
}

#[test]
fn a_request_that_waits_goes_on_after_the_yes() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let auditor = world.logged_in("erin", &["auditors"]);
    let connect = connect(&alice, &["--reason", "case 4711"]);
    let waiting = ask(&connect, "/bytes/3");
    let id = waits(&connect.process);
    assert_eq!(model.requests(), 0, "nothing reaches the model before the yes");

    let listed = text(&bob.run(&["approvals", "list", "-o", "jsonl"]).stdout);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let listed: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    for (key, value) in [
        ("schema", json!(1)),
        ("id", json!(id)),
        ("state", json!("pending")),
        ("model", json!("fraud")),
        ("requester", json!("alice")),
        ("reason", json!("case 4711")),
        ("approvals", json!(0)),
        ("needed", json!(1)),
    ] {
        assert_eq!(listed[key], value, "{key}");
    }
    assert!(listed["expires_at"].as_str().unwrap().ends_with('Z'));
    let given = bob.json(&["approvals", "approve", &id, "--lasts", "30m", "--comment", "for the audit"]);
    assert_eq!((given["state"].as_str(), given["lasts"].as_u64()), (Some("approved"), Some(1800)));

    let (head, body) = answer(waiting);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(body.contains("xxx"), "{body}");
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"), "the next one passes at once");
    assert_eq!(connect.process.errors().matches("waits for approval").count(), 1);

    for (kind, who) in [("requested", "alice"), ("approved", "bob"), ("granted", "bob")] {
        let events = audited(&auditor, &format!("approval_{kind}"));
        assert_eq!(events.len(), 1, "{kind}: {events:?}");
        assert_eq!(events[0]["caller"]["subject"], who, "{kind}");
        assert_eq!(events[0]["decision"]["approval"], json!(id), "{kind}");
    }
    let exchanges = audited(&auditor, "exchange");
    assert_eq!(exchanges.len(), 2, "{exchanges:?}");
    for exchange in exchanges {
        assert_eq!(exchange["decision"]["verdict"], "permit");
        assert_eq!(exchange["decision"]["policies"], json!(["fraud-jit"]));
        assert_eq!(exchange["decision"]["approval"], json!(id));
    }
}

#[test]
fn nobody_approves_their_own_request_and_strangers_do_not_see_it() {
    let model = Model::start();
    let world = world(&model, 1);
    // Alice leads risk herself, and so does a workload: that changes nothing.
    let (alice, bob, dave) = (world.person("alice"), world.person("bob"), world.person("dave"));
    let id = alice.json(&["approvals", "request", "fraud"])["id"].as_str().unwrap().to_owned();
    fails(&alice.run(&["approvals", "approve", &id]), 3, &["nobody approves their own request"]);
    fails(&alice.run(&["approvals", "deny", &id]), 3, &["nobody approves their own request"]);
    fails(&dave.run(&["approvals", "approve", &id]), 1, &["no such approval", "approvals list"]);
    assert_eq!(state(&bob, &id), "pending");
    assert_eq!(text(&dave.run(&["approvals", "list", "-o", "jsonl"]).stdout), "");
    let workload = world.logged_in("robot", &["risk-leads"]);
    fails(&workload.run(&["approvals", "approve", &id]), 1, &["no such approval"]);
    assert_eq!(state(&alice, &id), "pending");
}

#[test]
fn a_no_and_no_patience_have_their_exit_codes() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut call = alice.command();
    call.args(["call", "fraud", "/bytes/3", "--reason", "curious"]);
    let call = Process::start(call);
    let id = waits(&call);
    let denied = bob.run(&["approvals", "deny", &id, "--comment", "not today"]);
    assert!(denied.status.success(), "{}", text(&denied.stderr));
    assert_eq!(text(&denied.stdout), format!("{id}: alice may not use fraud\n"));
    fails(&call.ended(), 5, &["not approved: bob denied", &id, "not today", "next: "]);
    fails(&bob.run(&["approvals", "approve", &id]), 1, &["denied already"]);

    let first = alice.run(&["call", "fraud", "/bytes/3", "--no-wait"]);
    let id = id_in(&text(&first.stderr));
    fails(&first, 75, &["approval needed: ", &id, "/console/approvals/"]);
    let second = alice.run(&["-o", "json", "connect", "fraud", "--no-wait"]);
    assert_eq!(second.status.code(), Some(75));
    assert!(second.stdout.is_empty());
    let told: Value = serde_json::from_str(text(&second.stderr).lines().last().unwrap()).unwrap();
    assert_eq!(told["error"]["code"], "approval_required");
    assert_eq!(id_in(told["error"]["message"].as_str().unwrap()), id, "one request, however often");
    assert!(told["error"]["remedy"].as_str().unwrap().contains(&id));
    let third = alice.json(&["approvals", "request", "fraud"]);
    assert_eq!(third["id"], json!(id));
    assert_eq!(model.requests(), 0);

    let shown = bob.run(&["approvals", "show", &id]);
    let shown = text(&shown.stdout) + &text(&shown.stderr);
    for word in ["pending, 0 of 1", "alice", "fraud", "7 days", "approvals approve"] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
    approve(&bob, &id);
    let passed = alice.run(&["call", "fraud", "/bytes/3", "--no-wait"]);
    assert_eq!(text(&passed.stdout), "xxx", "{}", text(&passed.stderr));
}

#[test]
fn what_an_approver_is_told_is_one_line() {
    let model = Model::start();
    let world = world(&model, 1);
    let alice = world.person("alice");
    for args in [
        &["approvals", "request", "fraud", "--reason", "a\nb"][..],
        &["call", "fraud", "/bytes/3", "--reason", "a\u{1b}[2Jb"],
        &["approvals", "deny", "apr_1", "--comment", "a\nb"],
    ] {
        fails(&alice.run(args), 2, &["one line"]);
    }
}

#[test]
fn taking_an_approval_back_cuts_its_streams_on_both_carriers() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let auditor = world.logged_in("erin", &["auditors"]);
    for (round, carrier) in ["quic", "tcp"].into_iter().enumerate() {
        let connect = connect(&alice, &["--transport", carrier]);
        assert_eq!(connect.said["transport"], carrier);
        let mut app = ask(&connect, "/sse");
        let id = waits(&connect.process);
        approve(&bob, &id);
        eventually("the request at the model", || (model.say(b"data: one\n\n") == 1).then_some(()));
        let mut part = [0; 1024];
        assert_ne!(app.read(&mut part).unwrap(), 0);

        let began = Instant::now();
        bob.json(&["approvals", "deny", &id]);
        while !matches!(app.read(&mut part), Ok(0) | Err(_)) {}
        assert!(began.elapsed() < CUT_WITHIN, "{carrier}: {:?}", began.elapsed());
        eventually("the model is left", || (model.say(b"data: two\n\n") == 0).then_some(()));
        let ended = eventually("the exchange's end", || audited(&auditor, "exchange").into_iter().nth(round));
        assert_eq!(ended["response"]["outcome"], "approval_ended", "{ended}");
        assert_eq!(ended["decision"]["approval"], json!(id));
        assert_eq!(audited(&auditor, "approval_ended").len(), round + 1);
        assert_eq!(state(&alice, &id), "denied");
    }
}

#[test]
fn two_yeses_are_two_people() {
    let model = Model::start();
    let world = world(&model, 2);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    let connect = connect(&alice, &[]);
    let waiting = ask(&connect, "/bytes/3");
    let id = waits(&connect.process);
    let noted = bob.run(&["approvals", "approve", &id]);
    assert_eq!(
        text(&noted.stdout),
        format!("{id}: your yes is noted: 1 of 2; the request still waits for a yes by risk-leads\n")
    );
    fails(&bob.run(&["approvals", "approve", &id]), 1, &["it takes another person"]);
    assert_eq!(state(&alice, &id), "pending");
    assert_eq!(model.requests(), 0);
    approve(&carol, &id);
    assert!(answer(waiting).0.starts_with("http/1.1 200"));
    assert_eq!(carol.json(&["approvals", "show", &id])["approved_by"], json!(["bob", "carol"]));
}

#[test]
fn an_application_with_a_token_is_told_where_to_ask_and_passes_afterwards() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let token = alice.json(&["token", "fraud"])["token"].as_str().unwrap().to_owned();
    let request = format!(
        "POST /models/fraud/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
    );
    let (head, body) = world.https_exchange(&request);
    assert!(head.starts_with("http/1.1 403"), "{head}");
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["error"]["code"], "approval_required");
    assert!(told["error"]["type"].is_string(), "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    let id = id_in(message);
    assert!(message.contains(&format!("{}/console/approvals/{id}", world.url)), "{message}");
    approve(&bob, &id);
    let (head, body) = world.https_exchange(&request);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(text(&body).contains("total_tokens"));
}

#[test]
fn models_tell_what_has_been_approved() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let access = || access(&alice, "fraud");
    assert_eq!(access(), "ask");
    let id = alice.json(&["approvals", "request", "fraud"])["id"].as_str().unwrap().to_owned();
    assert_eq!(access(), "ask");
    approve(&bob, &id);
    assert_eq!(access(), "permit");
    bob.json(&["approvals", "deny", &id]);
    assert_eq!(access(), "ask");
}

#[test]
fn a_request_outlives_the_gateway_that_took_it() {
    let model = Model::start();
    let mut world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let connect = connect(&alice, &[]);
    let waiting = ask(&connect, "/bytes/3");
    let id = waits(&connect.process);
    let stopped = world.stop();
    assert!(stopped.status.success(), "{}", text(&stopped.stderr));
    let (head, body) = answer(waiting);
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert!(body.contains("draining") && body.contains(&id), "{body}");

    world.start();
    assert_eq!(state(&bob, &id), "pending");
    let again = ask(&connect, "/bytes/3");
    assert_eq!(waits(&connect.process), id, "it waits for the same request");
    approve(&bob, &id);
    assert!(answer(again).0.starts_with("http/1.1 200"));

    // A yes is kept whatever becomes of the process that took it.
    world.kill();
    world.start();
    let passed = alice.run(&["call", "fraud", "/bytes/3", "--no-wait"]);
    assert_eq!(text(&passed.stdout), "xxx", "{}", text(&passed.stderr));
}

#[test]
fn what_changed_during_a_wait_counts_after_it() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let connect = connect(&alice, &[]);
    let waiting = ask(&connect, "/bytes/3");
    let id = waits(&connect.process);
    world.policy(BASE);
    eventually("the policy is taken up", || (access(&alice, "fraud") != "ask").then_some(()));
    approve(&bob, &id);
    let (head, body) = answer(waiting);
    assert!(head.starts_with("http/1.1 403") && body.contains("denied"), "{head} {body}");
    assert_eq!(model.requests(), 0);
}

#[test]
fn an_approval_is_for_one_model_and_the_policies_it_met() {
    let model = Model::start();
    let world = world(&model, 1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let id = alice.json(&["approvals", "request", "fraud"])["id"].as_str().unwrap().to_owned();
    approve(&bob, &id);
    let call = |model: &str| alice.run(&["call", model, "/bytes/3", "--no-wait"]);
    assert_eq!(text(&call("fraud").stdout), "xxx");
    fails(&call("other"), 75, &["`other` needs an approval"]);
    assert_eq!(access(&alice, "other"), "ask");

    let token = alice.json(&["token", "fraud"])["token"].as_str().unwrap().to_owned();
    for (path, status) in [("/models/fraud/bytes/3", "200"), ("/models/other/bytes/3", "401")] {
        let (head, body) = world.https_exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        ));
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
        assert!(!text(&body).contains("apr_"), "a token for another model asks for nothing");
    }

    world.policy(&policy("fraud-newer", 1));
    let asked = eventually("the policy is taken up", || {
        Some(call("fraud")).filter(|call| call.status.code() == Some(75))
    });
    assert_ne!(id_in(&text(&asked.stderr)), id, "an approval under other policies is another one");
}
