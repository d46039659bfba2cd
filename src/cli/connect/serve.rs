//! Opens the doors, says so, and serves them until somebody asks to stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    super::{
        asking::{Waiting, next, shown},
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        printer::Printer,
        remembered,
        signals::{Signal, Signals},
    },
    Connect,
    address::Address,
    announce::announce,
    background,
    child::Child,
    dialect, events, find,
};
use crate::{
    client::{self, Link, LinkEvent, Opening, Port},
    config::laptop::Output,
    id,
    secret::{ExposeSecret, SecretString},
    wire::api::Model,
};

/// The variable with a key of the caller's choice.
pub(super) const KEY_VARIABLE: &str = "HOOPCTL_LOCAL_KEY";

/// How long saying goodbye to the gateway may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What is open.
struct Opened {
    link: Link,
    models: Vec<Model>,
    doors: Vec<Port>,
    key: Option<SecretString>,
    stop: CancellationToken,
}

/// Serves until a signal, the command's end or, with `--stdio`, the stream's end.
pub(super) async fn perform(args: Connect, with: &Invocation) -> Outcome {
    let mut signals = Signals::listen()?;
    let entry = background::Entry::claim(&args.models, args.background, with)?;
    let opened = tokio::select! {
        biased;
        opened = open(&args, with) => opened?,
        failure = asked_to_stop(&mut signals) => return Err(failure),
    };
    let outcome = if args.stdio {
        let session = id::new("ses", with.clock.now());
        stdio(&opened, &session, &mut signals, &with.printer).await
    } else {
        serve(&args, &opened, entry.as_ref(), &mut signals, with).await
    };
    opened.stop.cancel();
    drop(opened.doors);
    // Whatever the gateway does not hear in time it finds out by itself.
    let _ = tokio::time::timeout(GOODBYE, opened.link.close()).await;
    outcome
}

async fn open(args: &Connect, with: &Invocation) -> Result<Opened, Failure> {
    let (laptop, link) = with.connected().await?;
    let link = args.asking.of(link);
    let listed = link.models().await?;
    remembered::remember(link.gateway(), &listed, with);
    let caller = laptop.status().ok();
    let mut models = Vec::with_capacity(args.models.len());
    for name in &args.models {
        let model = find::find(name, &listed, caller.as_ref())?;
        args.asking.settle(&link, model).await?;
        forewarn(model, with);
        models.push(model.clone());
    }
    let key = args.local_key.then(local_key);
    let stop = CancellationToken::new();
    let mut doors = Vec::with_capacity(models.len());
    if !args.stdio {
        for model in &models {
            let door =
                client::open_port(&link, &laptop, &model.name, opening(args), key.as_ref(), stop.clone())
                    .await?;
            if let (Some(why), Some(port)) = (&door.stand_in, door.port) {
                with.printer.warn(&format!("{}: {why}; this time it is served on {port}", model.name));
            }
            doors.push(door);
        }
    }
    Ok(Opened { link, models, doors, key, stop })
}

/// What should be known of a model before anything is sent to it.
fn forewarn(model: &Model, with: &Invocation) {
    if model.tls != "required" {
        with.printer.warn(&format!(
            "{}: the gateway's own leg to this model is `{}`, not verified TLS",
            model.name, model.tls
        ));
    }
    if model.access == "ask" {
        with.printer.note(&format!("{}: requests need somebody's approval", model.name));
    }
}

fn opening(args: &Connect) -> Opening {
    match &args.socket {
        Some(socket) => Opening::Socket(socket.clone()),
        None => Opening::Port(args.port),
    }
}

fn local_key() -> SecretString {
    std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()).map_or_else(id::token, SecretString::from)
}

/// The first signal that asks to stop, as the failure it is before anything is served.
async fn asked_to_stop(signals: &mut Signals) -> Failure {
    loop {
        match signals.next().await {
            Signal::Window => {}
            Signal::Interrupt => return Failure::interrupted(),
            other => return Failure::Quiet(128 + other.number()),
        }
    }
}

async fn stdio(opened: &Opened, session: &str, signals: &mut Signals, printer: &Printer) -> Outcome {
    let Some(model) = opened.models.first() else { return Ok(DONE) };
    let conversation = client::stdio(&opened.link, &model.name, session);
    tokio::select! {
        biased;
        ended = shown(conversation, &opened.link, printer) => Ok(ended.map(|()| DONE)?),
        failure = asked_to_stop(signals) => Err(failure),
    }
}

async fn serve(
    args: &Connect,
    opened: &Opened,
    entry: Option<&background::Entry>,
    signals: &mut Signals,
    with: &Invocation,
) -> Outcome {
    let mut events = opened.link.events();
    let mut waiting = Waiting::new(&with.printer);
    let key = opened.key.as_ref().map(ExposeSecret::expose_secret);
    if let Some(entry) = entry {
        entry.write(&opened.doors)?;
    }
    let mut child = match args.command.is_empty() {
        true => {
            if let Some(key) = &opened.key
                && with.printer.manner().output == Output::Human
                && std::env::var_os(KEY_VARIABLE).is_none()
            {
                tell_key(key, &with.printer);
            }
            for door in &opened.doors {
                announce(&Address::from(door), opened.link.transport(), key, &with.printer)?;
            }
            None
        }
        false => Some(start(args, opened, key, with)?),
    };
    if let Some(over) = opened.link.transport() {
        tell(&LinkEvent::Connected { over, before: None }, child.is_some(), with);
    }
    loop {
        tokio::select! {
            biased;
            code = ended(&mut child) => return Ok(code?),
            signal = signals.next() => match (&child, signal) {
                (Some(child), signal) => child.forward(signal),
                (None, Signal::Window) => {}
                (None, Signal::Interrupt) => return Err(Failure::interrupted()),
                (None, _) => return Ok(DONE),
            },
            event = next(&mut events) => {
                if !waiting.heed(&event) {
                    tell(&event, child.is_some(), with);
                }
            }
        }
    }
}

fn start(args: &Connect, opened: &Opened, key: Option<&str>, with: &Invocation) -> Result<Child, Failure> {
    let (Some(door), Some(model)) = (opened.doors.first(), opened.models.first()) else {
        return Err(Failure::usage("-- CMD needs a model"));
    };
    let mut changes = dialect::changes(&Address::from(door), &model.dialect, key);
    if let Some(list) = dialect::no_proxy(&|name| std::env::var(name).ok()) {
        changes.set.push(("NO_PROXY", list.clone()));
        changes.set.push(("no_proxy", list));
    }
    with.printer.note(&format!("{} is at {}", door.model, door.url));
    Child::start(&args.command, &changes, &with.printer)
}

/// A new key is of no use unless it is shown.
pub(super) fn tell_key(key: &SecretString, printer: &Printer) {
    printer.say(&format!("every request must present the key: {}", key.expose_secret()));
}

/// The exit code of the command; never, without one.
async fn ended(child: &mut Option<Child>) -> std::io::Result<u8> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// One line for the event. While a command has the terminal only what needs somebody to act is said.
fn tell(event: &LinkEvent, command: bool, with: &Invocation) {
    match events::line(event) {
        Some(events::Line::Warning(text)) => with.printer.warn(&text),
        Some(events::Line::Note(text)) if command => tracing::info!("{text}"),
        Some(events::Line::Note(text)) => with.printer.event(events::name(event), &text),
        None => {}
    }
}
