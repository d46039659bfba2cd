//! The whole system in one process, for `hoopctl demo`.
//!
//! A model behind TLS, a gateway and a laptop, joined as they would be over a network: the login goes through the
//! browser flow, the answer through the local port, the tunnel and the gateway's own TLS leg, and the facts shown
//! afterwards are read from the audit log through the gateway's API.

mod answers;
mod app;
mod browser;
mod error;
mod folder;
mod form;
mod model;
mod proof;
mod show;
mod stage;

use std::{future::pending, path::PathBuf, pin::pin, time::Duration};

pub use self::error::Error;
use self::{folder::Folder, show::Show, stage::Stage};
use crate::{clock::Clock, evidence::event::Event};

/// What `hoopctl demo` was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// End after the first answer.
    pub once: bool,
    /// Keep the gateway's files here; `None`: in a folder that is removed in the end.
    pub dir: Option<PathBuf>,
}

/// What the demo asks.
const QUESTION: &str = "Who can read what I ask you?";
/// For the finished event to be in the log after the answer's last byte.
const EVENT_WITHIN: Duration = Duration::from_secs(5);

/// Runs the demo; without `once` until Ctrl-C or SIGTERM.
///
/// # Errors
/// When any part does not start, and when the answer did not provably come through the tunnel.
pub async fn run(options: Options) -> Result<(), Error> {
    let show = Show::on_terminal();
    if options.once { play(options, show, pending()).await } else { play(options, show, stopped()).await }
}

async fn play(options: Options, mut show: Show, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut stop = pin!(stop);
    show.say("Everything runs in this one process: a laptop, a gateway, a model. No network is used.");
    let folder = Folder::open(options.dir)?;
    let mut stage = tokio::select! {
        stage = Stage::set(&folder, Clock::system()) => stage?,
        () = stop.as_mut() => return Ok(()),
    };
    introduce(&mut show, &stage);
    let performed = tokio::select! {
        performed = perform(&mut show, &stage) => performed,
        () = stop.as_mut() => Ok(()),
    };
    if performed.is_ok() && !options.once {
        suggest(&mut show, &stage, &folder);
        tokio::select! {
            () = stop => show.say("\nClosing."),
            () = stage.follow(|line| show.say(line)) => {}
        }
    }
    stage.strike().await;
    performed
}

/// Resolves when the person, or the machine, wants an end.
async fn stopped() {
    let interrupted = async {
        // Without a handler Ctrl-C ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let terminated = async {
            match signal(SignalKind::terminate()) {
                Ok(mut terminate) => drop(terminate.recv().await),
                Err(_) => pending().await,
            }
        };
        tokio::select! {
            () = interrupted => {}
            () = terminated => {}
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}

fn introduce(show: &mut Show, stage: &Stage) {
    show.heading("On stage");
    show.fact("model", &format!("{}, OpenAI-compatible, wants a key", stage.model.url()));
    show.fact("gateway", &format!("{}, has that key", stage.url.as_str().trim_end_matches('/')));
    show.fact("laptop", &show::who(&stage.status));
    show.fact("local port", &format!("{}, plain HTTP for this machine alone", stage.door.url));
}

/// Asks once, shows the answer as it comes and the evidence behind it.
async fn perform(show: &mut Show, stage: &Stage) -> Result<(), Error> {
    show.heading(QUESTION);
    let port =
        stage.door.port.ok_or_else(|| Error::new("the local port does not open", "it has no number"))?;
    let answer = app::ask(&stage.door.host, port, QUESTION, |piece| show.piece(piece)).await?;
    show.end();
    let event = find_event(stage).await?;
    show.heading("How it came here");
    let evidence = event.evidence.clone().unwrap_or_default();
    show.fact("laptop, gateway", &show::leg(&evidence.client.unwrap_or_default()));
    show.fact("gateway, model", &show::leg(&evidence.upstream.unwrap_or_default()));
    show.fact("decided by", &show::decision(&event));
    show.fact("the model's key", "joined by the gateway; the request came without one");
    show.heading("The audit event");
    show.line(&serde_json::to_string_pretty(&event).unwrap_or_default());
    let doubts = proof::doubts(QUESTION, &answer, &stage.model.seen(), &event);
    if doubts.is_empty() {
        Ok(())
    } else {
        Err(Error::new("the answer did not provably come through the tunnel", doubts.join("; ")))
    }
}

/// The exchange's event, asked for through the gateway's API as `hoopctl audit query` does.
async fn find_event(stage: &Stage) -> Result<Event, Error> {
    let unread = |why: &dyn std::fmt::Display| Error::new("the audit log was not read", why);
    let path = format!("/api/v1/audit/events?kind=exchange&session={}&limit=1", stage.door.session);
    let deadline = tokio::time::Instant::now() + EVENT_WITHIN;
    loop {
        let page: Page = stage.link.api::<(), _>("GET", &path, None).await.map_err(|error| unread(&error))?;
        if let Some(event) = page.events.into_iter().next() {
            return Ok(event);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(unread(&"it has no event of the exchange"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A page of `GET /api/v1/audit/events`.
#[derive(serde::Deserialize)]
struct Page {
    events: Vec<Event>,
}

fn suggest(show: &mut Show, stage: &Stage, folder: &Folder) {
    let port = &stage.door.url;
    let gateway = stage.url.as_str().trim_end_matches('/');
    let plain = gateway.replacen("https://", "http://", 1);
    let ca = stage.gateway.ca_fingerprint();
    let policy = folder.policy().display().to_string();
    show.say(&format!(
        r#"
Try next, in another terminal, while this one stays open:

  any HTTP client, no key
    curl -N {port}/v1/chat/completions -H 'content-type: application/json' \
      -d '{{"model":"demo","stream":true,"messages":[{{"role":"user","content":"Who holds your key?"}}]}}'

  the OpenAI SDK, unchanged
    OPENAI_BASE_URL={port}/v1 OPENAI_API_KEY=none python3 -c 'from openai import OpenAI
for event in OpenAI().chat.completions.create(model="demo", stream=True,
        messages=[{{"role": "user", "content": "What does the audit log say?"}}]):
    print(event.choices[0].delta.content or "", end="", flush=True)'

  a second laptop, with your browser: sign in as alice, another time as bob, whom no policy permits
    hoopctl --profile demo login {gateway} --ca-fingerprint {ca}
    hoopctl --profile demo connect demo
    hoopctl --profile demo audit query

  without encryption: TLS is mandatory
    curl -i {plain}/

  change who may do what; it is taken up at once
    {policy}"#
    ));
    show.say("\nCtrl-C ends the demo.");
}

#[cfg(test)]
mod tests {
    use super::{show::tests::Shown, *};

    #[tokio::test]
    async fn the_answer_comes_through_the_tunnel_and_the_evidence_is_shown() {
        let shown = Shown::default();
        play(Options { once: true, dir: None }, shown.show(), pending()).await.unwrap();
        let text = shown.text();
        let running = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(running.contains(&answers::to(QUESTION)), "{text}");
        assert_eq!(text.matches("X25519MLKEM768").count(), 4, "both legs, shown and recorded: {text}");
        assert!(text.contains("policy demo-users: permit"), "{text}");
        assert!(text.contains("\"outcome\": \"complete\""), "{text}");
    }

    #[tokio::test]
    async fn a_folder_that_was_asked_for_stays_and_can_be_used_again() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let options = Options { once: true, dir: Some(dir.path().to_owned()) };
            play(options, Shown::default().show(), pending()).await.unwrap();
        }
        assert!(dir.path().join("gateway.toml").is_file());
    }
}
