//! `hoopctl sessions list`: one line for what somebody did with a model in one session.

use std::{collections::BTreeMap, time::SystemTime};

use clap::{Args, builder::PossibleValuesParser};
use url::form_urlencoded;

use super::super::{
    audit,
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    table::Table,
};
use crate::{clock::rfc3339, config::laptop::Output, wire::api};

/// The flags of `sessions list`.
#[derive(Args, Debug)]
pub(super) struct List {
    /// With an exchange not before: RFC 3339, or how long ago, such as 30m, 12h or 7d
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// With an exchange before: RFC 3339, or how long ago
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only of this user
    #[arg(long)]
    user: Option<String>,
    /// Only with this model
    #[arg(long)]
    model: Option<String>,
    /// With an exchange of this verdict
    #[arg(long, visible_alias = "decision", value_parser = PossibleValuesParser::new(["permit", "ask", "deny"]))]
    verdict: Option<String>,
    /// With an answer in which this entity was masked, such as email
    #[arg(long, value_name = "ENTITY")]
    masked: Option<String>,
    /// Only those before this cursor, the `next` of an earlier answer
    #[arg(long, value_name = "CURSOR")]
    before: Option<u64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

impl Default for List {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            user: None,
            model: None,
            verdict: None,
            masked: None,
            before: None,
            limit: 50,
        }
    }
}

/// Asks the gateway.
pub(super) async fn perform(list: List, with: &Invocation) -> Outcome {
    let path = list.path(with.clock.now())?;
    let (_laptop, link) = with.connected().await?;
    let page: api::Sessions = link.api("GET", &path, None::<&()>).await?;
    link.close().await;
    print(&page, &with.printer)?;
    Ok(DONE)
}

impl List {
    fn path(&self, now: SystemTime) -> Result<String, Failure> {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (key, text) in [("since", &self.since), ("until", &self.until)] {
            if let Some(text) = text {
                pairs.append_pair(key, &rfc3339(audit::instant(key, text, now)?));
            }
        }
        let texts = [
            ("user", &self.user),
            ("model", &self.model),
            ("verdict", &self.verdict),
            ("masked", &self.masked),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                pairs.append_pair(key, text);
            }
        }
        if let Some(before) = self.before {
            pairs.append_pair("before", &before.to_string());
        }
        pairs.append_pair("limit", &self.limit.to_string());
        Ok(format!("/api/v1/sessions?{}", pairs.finish()))
    }
}

pub(super) fn print(page: &api::Sessions, printer: &Printer) -> Result<(), Failure> {
    match printer.manner().output {
        Output::Json => return printer.document(page),
        Output::Jsonl => return printer.documents(&page.sessions),
        Output::Human => {}
    }
    if page.sessions.is_empty() {
        printer.note("no session matches");
        return Ok(());
    }
    printer.table(&table(&page.sessions))?;
    if let Some(next) = page.next {
        printer.note(&format!("there are more: --before {next}"));
    }
    Ok(())
}

/// The table of sessions.
pub(super) fn table(sessions: &[api::Session]) -> Table {
    let mut table = Table::new(&[
        "SESSION",
        "LAST",
        "USER",
        "MODEL",
        "EXCHANGES",
        "OUTCOMES",
        "SENT",
        "RECEIVED",
        "MASKED",
        "RECORDED",
    ]);
    for session in sessions {
        let caller = &session.caller;
        table.row([
            session.session.clone(),
            session.last.clone(),
            caller.email.clone().unwrap_or_else(|| caller.subject.clone()),
            session.model.clone(),
            session.exchanges.to_string(),
            counts(&session.outcomes),
            bytes(session.request_bytes),
            bytes(session.response_bytes),
            counts(&session.masked),
            session.recorded.to_string(),
        ]);
    }
    table
}

/// `2 EMAIL, 1 IBAN`.
pub(super) fn counts(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "-".to_owned();
    }
    counts.iter().map(|(name, number)| format!("{number} {name}")).collect::<Vec<_>>().join(", ")
}

/// A length as people read it.
pub(super) fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", tenths(1_000)),
        10_000_000..10_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}
