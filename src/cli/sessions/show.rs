//! `hoopctl sessions show`: a session's exchanges, or everything about one.

use clap::Args;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{
    super::{
        audit,
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        printer::Printer,
        sanitize,
        table::Table,
    },
    list,
};
use crate::{
    client::Link,
    config::laptop::Output,
    evidence::event::{Event, Leg},
    wire::api::Session,
};

/// The flags of `sessions show`.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// A session or an exchange, as `sessions list` and `audit query` show them: ses_… or ex_…
    #[arg(value_name = "ID")]
    id: String,
}

/// The body of `GET /api/v1/sessions/{id}`.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Shown {
    schema: u32,
    pub(super) sessions: Vec<Session>,
    pub(super) exchanges: Vec<Event>,
    #[serde(default, skip_serializing)]
    next: Option<u64>,
}

/// Asks the gateway.
pub(super) async fn perform(args: Show, with: &Invocation) -> Outcome {
    let id = plain(&args.id)?;
    let (_laptop, link) = with.connected().await?;
    if is_exchange(id) {
        let events = events_of(&link, id).await?;
        link.close().await;
        exchange(id, &events, &with.printer)?;
    } else {
        let shown = session(&link, id).await?;
        link.close().await;
        print(&shown, &with.printer)?;
    }
    Ok(DONE)
}

/// Ids are ours: anything else is a slip of the keyboard, and never part of a path.
pub(super) fn plain(id: &str) -> Result<&str, Failure> {
    let plain = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == '-';
    if id.is_empty() || id.len() > 128 || !id.chars().all(plain) {
        return Err(Failure::usage(format!("{id:?} is no session's and no exchange's id"))
            .remedy("`hoopctl sessions list` shows sessions: ses_…; `hoopctl sessions show ses_…` their exchanges: ex_…"));
    }
    Ok(id)
}

/// Whether an id is an exchange's, and not a session's.
pub(super) fn is_exchange(id: &str) -> bool {
    id.starts_with("ex_")
}

/// A session with all of its exchanges.
pub(super) async fn session(link: &Link, id: &str) -> Result<Shown, Failure> {
    let mut shown = Shown::default();
    let mut after = 0;
    loop {
        let path = format!("/api/v1/sessions/{id}?after={after}");
        let page: Shown = link.api("GET", &path, None::<&()>).await?;
        shown.schema = page.schema;
        shown.sessions = page.sessions;
        shown.exchanges.extend(page.exchanges);
        match page.next {
            Some(next) if next > after => after = next,
            _ => return Ok(shown),
        }
    }
}

/// Every event that names an exchange, oldest first.
pub(super) async fn events_of(link: &Link, id: &str) -> Result<Vec<Event>, Failure> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("exchange", id)
        .append_pair("after", "0")
        .append_pair("limit", "1000")
        .finish();
    let page: audit::Page<Event> = audit::get(link, &format!("/api/v1/audit/events?{query}")).await?;
    Ok(page.events)
}

/// The event of the exchange itself.
pub(super) fn own<'e>(id: &str, events: &'e [Event]) -> Result<&'e Event, Failure> {
    events.iter().find(|event| event.kind == "exchange").ok_or_else(|| {
        Failure::failed(format!("there is no event of the exchange {id} that you may read")).remedy(
            "exchanges are in the log once they have ended; `hoopctl sessions list` shows what you may see",
        )
    })
}

fn print(shown: &Shown, printer: &Printer) -> Result<(), Failure> {
    match printer.manner().output {
        Output::Json => return printer.document(shown),
        Output::Jsonl => return printer.documents(&shown.exchanges),
        Output::Human => {}
    }
    printer.table(&list::table(&shown.sessions))?;
    printer.line("")?;
    let mut table = Table::new(&[
        "EXCHANGE",
        "TIME",
        "VERDICT",
        "STATUS",
        "SENT",
        "RECEIVED",
        "MASKED",
        "RECORDING",
        "WHAT",
    ]);
    for event in &shown.exchanges {
        table.row(cells(event));
    }
    printer.table(&table)
}

fn cells(event: &Event) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (request, response) = (event.request.as_ref(), event.response.as_ref());
    [
        or_dash(event.exchange.clone()),
        event.time.clone(),
        or_dash(event.decision.as_ref().map(|decision| decision.verdict.clone())),
        or_dash(status(event)),
        or_dash(request.map(|request| list::bytes(request.bytes))),
        or_dash(response.map(|response| list::bytes(response.bytes))),
        list::counts(&event.masked),
        if event.recording.is_some() { "yes" } else { "-" }.to_owned(),
        request.map(|request| format!("{} {}", request.method, request.path)).unwrap_or_default(),
    ]
}

fn status(event: &Event) -> Option<String> {
    event.response.as_ref().map(|response| match response.status {
        0 => response.outcome.clone(),
        status => format!("{status} {}", response.outcome),
    })
}

pub(super) fn exchange(id: &str, events: &[Event], printer: &Printer) -> Result<(), Failure> {
    let event = own(id, events)?;
    if printer.manner().output != Output::Human {
        return printer.document(event);
    }
    for (label, value) in rows(event, events) {
        printer.line(&format!("{label:<11}{}", sanitize::line(&value)))?;
    }
    if event.recording.is_some() {
        printer.note(&format!("next: hoopctl sessions replay {id}"));
    }
    Ok(())
}

/// What is known of an exchange, label by label.
fn rows(event: &Event, events: &[Event]) -> Vec<(&'static str, String)> {
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    let mut put = |label, value: Option<String>| rows.extend(value.map(|value| (label, value)));
    put("exchange", event.exchange.clone());
    put("session", event.session.clone());
    put("time", Some(event.time.clone()));
    put(
        "who",
        event.caller.as_ref().map(|caller| {
            let name = caller.email.clone().unwrap_or_else(|| caller.subject.clone());
            format!("{name} of {}, groups: {}", caller.provider, caller.groups.join(", "))
        }),
    );
    put("client", event.caller.as_ref().and_then(|caller| caller.client.clone()));
    put("model", event.model.clone());
    put(
        "decision",
        event.decision.as_ref().map(|decision| {
            let approval = decision.approval.iter().map(|id| format!(", approval {id}")).collect::<String>();
            format!("{} by {}{approval}", decision.verdict, named(&decision.policies))
        }),
    );
    put(
        "asked",
        event
            .request
            .as_ref()
            .map(|request| format!("{} {}, {}", request.method, request.path, list::bytes(request.bytes))),
    );
    put("input", event.request.as_ref().and_then(|request| request.input.clone()));
    put("output", event.response.as_ref().and_then(|response| response.output.clone()));
    put(
        "answered",
        event.response.as_ref().map(|response| {
            let first =
                response.first_byte_ms.map(|ms| format!(", first byte after {ms} ms")).unwrap_or_default();
            let received = list::bytes(response.bytes);
            format!(
                "{}, {received}{first}, over after {} ms",
                status(event).unwrap_or_default(),
                response.duration_ms
            )
        }),
    );
    put("masked", (!event.masked.is_empty()).then(|| list::counts(&event.masked)));
    put("unmasked", event.unmasked.as_ref().map(|unmasked| format!("by {}", named(&unmasked.policies))));
    let evidence = event.evidence.as_ref();
    put("to gateway", evidence.and_then(|evidence| evidence.client.as_ref()).map(leg));
    put("to model", evidence.and_then(|evidence| evidence.upstream.as_ref()).map(leg));
    put(
        "recording",
        event.recording.as_ref().map(|recording| match &recording.sha256 {
            Some(digest) => format!("{}, sha256 {digest}", recording.id),
            None => format!("{}, nothing of it was kept", recording.id),
        }),
    );
    let recording = event.recording.as_ref();
    put("gaps", recording.filter(|recording| recording.gaps > 0).map(|recording| recording.gaps.to_string()));
    put("not whole", recording.and_then(|recording| recording.failure.clone()));
    for other in events.iter().filter(|other| other.kind != "exchange") {
        let who = other
            .caller
            .as_ref()
            .map(|caller| caller.email.clone().unwrap_or_else(|| caller.subject.clone()));
        let verdict =
            other.decision.as_ref().map(|decision| format!(" ({})", decision.verdict)).unwrap_or_default();
        put(
            "later",
            Some(format!(
                "{} {}{verdict}: {} {}",
                other.time,
                other.kind,
                who.unwrap_or_else(|| "the gateway".to_owned()),
                other.detail.clone().unwrap_or_default()
            )),
        );
    }
    rows
}

fn named(policies: &[String]) -> String {
    if policies.is_empty() { "no policy".to_owned() } else { policies.join(", ") }
}

fn leg(leg: &Leg) -> String {
    let mut words: Vec<&str> = [&leg.transport, &leg.tls, &leg.cipher, &leg.group]
        .map(String::as_str)
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    match leg.verified {
        Some(true) => words.push("verified"),
        Some(false) => words.push("NOT VERIFIED"),
        None => {}
    }
    if leg.relaxed {
        words.push("RELAXED");
    }
    words.extend(leg.url.as_deref());
    words.join(", ")
}
