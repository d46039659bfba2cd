//! `hoopctl audit query`: events by page, or as they come.

use std::time::{Duration, SystemTime};

use clap::{Args, builder::PossibleValuesParser};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    table::Table,
};
use crate::{
    client::Link,
    clock::{parse_rfc3339, rfc3339},
    config::laptop::Output,
    evidence::event::{Event, Response},
};

/// Between two looks for new events.
const PACE: Duration = Duration::from_secs(1);

/// Which events.
#[derive(Args, Debug, Default)]
pub(super) struct Filters {
    /// Not before: RFC 3339, or how long ago, such as 30m, 12h or 7d
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Not after: RFC 3339, or how long ago
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only of this user
    #[arg(long)]
    user: Option<String>,
    /// Only of this model
    #[arg(long)]
    model: Option<String>,
    /// Only of this kind: exchange, login, login_failed, renewal …
    #[arg(long)]
    kind: Option<String>,
    /// Only of this exchange
    #[arg(long, value_name = "ID")]
    exchange: Option<String>,
    /// Only of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only with this verdict
    #[arg(long, visible_alias = "decision", value_parser = PossibleValuesParser::new(["permit", "ask", "deny"]))]
    verdict: Option<String>,
    /// Only where this entity was masked in the answer, such as email
    #[arg(long, value_name = "ENTITY")]
    masked: Option<String>,
}

/// The flags of `audit query`.
#[derive(Args, Debug, Default)]
pub(super) struct Query {
    #[command(flatten)]
    filters: Filters,
    /// Only after this cursor, the `next` of an earlier answer
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on with new events as they come, until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// The body of `GET /api/v1/audit/events`.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::cli) struct Page<E> {
    schema: u32,
    pub(in crate::cli) events: Vec<E>,
    #[serde(default)]
    pub(in crate::cli) next: Option<u64>,
    #[serde(default)]
    cursor: Option<u64>,
}

/// Asks the gateway.
pub(super) async fn perform(query: Query, with: &Invocation) -> Outcome {
    let now = with.clock.now();
    let path = query.filters.path(query.after, query.limit, now)?;
    let (_laptop, link) = with.connected().await?;
    let mut page: Page<Event> = get(&link, &path).await?;
    if !query.follow {
        link.close().await;
        print(&page, &with.printer)?;
        return Ok(DONE);
    }
    loop {
        print_events(&page.events, &with.printer)?;
        let Some(cursor) = page.next.or(page.cursor) else {
            return Err(Failure::failed("this gateway is too old to follow its audit log"));
        };
        if page.next.is_none() {
            tokio::time::sleep(PACE).await;
        }
        page = get(&link, &query.filters.path(Some(cursor), 1000, now)?).await?;
    }
}

/// One page.
pub(in crate::cli) async fn get<E: serde::de::DeserializeOwned>(
    link: &Link,
    path: &str,
) -> Result<Page<E>, Failure> {
    Ok(link.api::<(), Page<E>>("GET", path, None).await?)
}

impl Filters {
    /// The path of a page.
    pub(super) fn path(&self, after: Option<u64>, limit: u32, now: SystemTime) -> Result<String, Failure> {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (key, text) in [("since", &self.since), ("until", &self.until)] {
            if let Some(text) = text {
                pairs.append_pair(key, &rfc3339(instant(key, text, now)?));
            }
        }
        for (key, text) in [
            ("user", &self.user),
            ("model", &self.model),
            ("kind", &self.kind),
            ("exchange", &self.exchange),
            ("session", &self.session),
            ("verdict", &self.verdict),
            ("masked", &self.masked),
        ] {
            if let Some(text) = text {
                pairs.append_pair(key, text);
            }
        }
        if let Some(after) = after {
            pairs.append_pair("after", &after.to_string());
        }
        pairs.append_pair("limit", &limit.to_string());
        Ok(format!("/api/v1/audit/events?{}", pairs.finish()))
    }
}

/// A point in time, or one so long ago.
pub(in crate::cli) fn instant(flag: &str, text: &str, now: SystemTime) -> Result<SystemTime, Failure> {
    let ago = || {
        let unit = text.chars().last()?;
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        // What lies before 1970 is not in any log.
        now.checked_sub(Duration::from_secs(number.checked_mul(seconds)?))
            .filter(|at| *at >= SystemTime::UNIX_EPOCH)
    };
    parse_rfc3339(text).or_else(ago).ok_or_else(|| {
        Failure::usage(format!("--{flag} {text:?} is no point in time"))
            .remedy("write RFC 3339 such as 2026-11-23T07:00:00Z, or how long ago, such as 30m, 12h or 7d")
    })
}

fn print(page: &Page<Event>, printer: &Printer) -> Result<(), Failure> {
    match printer.manner().output {
        Output::Json => return printer.document(page),
        Output::Jsonl => return printer.documents(&page.events),
        Output::Human => {}
    }
    if page.events.is_empty() {
        printer.note("no event matches");
        return Ok(());
    }
    let mut table = Table::new(&["TIME", "KIND", "USER", "MODEL", "VERDICT", "STATUS", "WHAT"]);
    for event in &page.events {
        table.row(cells(event));
    }
    printer.table(&table)
}

/// Events as they come: lines without a heading.
fn print_events(events: &[Event], printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return events.iter().try_for_each(|event| printer.object_line(event));
    }
    let mut table = Table::new(&[]);
    events.iter().for_each(|event| table.row(cells(event)));
    printer.table(&table)
}

fn cells(event: &Event) -> [String; 7] {
    let caller = event.caller.as_ref();
    let user = caller.map(|caller| caller.email.clone().unwrap_or_else(|| caller.subject.clone()));
    let status = event.response.as_ref().map(|response| match response.status {
        0 => response.outcome.clone(),
        status => format!("{status} {}", response.outcome),
    });
    let what = event.request.as_ref().map_or_else(
        || event.detail.clone().unwrap_or_default(),
        |request| format!("{} {}{}", request.method, request.path, figures(event.response.as_ref())),
    );
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        event.time.clone(),
        event.kind.clone(),
        or_dash(user.or_else(|| event.source.clone())),
        or_dash(event.model.clone()),
        or_dash(event.decision.as_ref().map(|decision| decision.verdict.clone())),
        or_dash(status),
        what,
    ]
}

/// Tokens and the time to the first, of answers that tell them; `~` stands before an estimate.
fn figures(response: Option<&Response>) -> String {
    let tokens = response.and_then(|response| response.tokens).map_or_else(String::new, |tokens| {
        let about = if tokens.estimated { "~" } else { "" };
        format!(", {about}{}+{} tokens", tokens.input, tokens.output)
    });
    let first = response.and_then(|response| response.first_token_ms);
    tokens + &first.map_or_else(String::new, |ms| format!(", first after {ms} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::printer::paper,
        evidence::event::{Caller, Decision, Request, Tokens},
    };

    fn now() -> SystemTime {
        parse_rfc3339("2026-11-23T07:00:00Z").unwrap()
    }

    #[test]
    fn times_are_points_or_distances() {
        for (text, expected) in [
            ("2026-11-22T07:00:00Z", Some("2026-11-22T07:00:00.000Z")),
            ("2026-11-22T07:00:00+02:00", Some("2026-11-22T05:00:00.000Z")),
            ("90s", Some("2026-11-23T06:58:30.000Z")),
            ("30m", Some("2026-11-23T06:30:00.000Z")),
            ("12h", Some("2026-11-22T19:00:00.000Z")),
            ("7d", Some("2026-11-16T07:00:00.000Z")),
            ("", None),
            ("d", None),
            ("-1d", None),
            ("7 days", None),
            ("99999999999999999999d", None),
            ("99999d", None),
            ("1é", None),
        ] {
            assert_eq!(instant("since", text, now()).ok().map(rfc3339).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn filters_become_an_encoded_query() {
        let filters = Filters {
            since: Some("1h".into()),
            user: Some("a&b c".into()),
            verdict: Some("deny".into()),
            masked: Some("email".into()),
            ..Filters::default()
        };
        assert_eq!(
            filters.path(Some(7), 5, now()).unwrap(),
            "/api/v1/audit/events?since=2026-11-23T06%3A00%3A00.000Z&user=a%26b+c&verdict=deny&masked=email&after=7&limit=5"
        );
    }

    fn page() -> Page<Event> {
        let event = Event {
            schema: "hoopctl.audit/1".into(),
            id: "ev_1".into(),
            time: "2026-11-23T06:00:00.000Z".into(),
            kind: "exchange".into(),
            caller: Some(Caller { subject: "alice".into(), provider: "dev".into(), ..Caller::default() }),
            model: Some("llama".into()),
            decision: Some(Decision { verdict: "permit".into(), ..Decision::default() }),
            request: Some(Request {
                method: "POST".into(),
                path: "/v1/x\u{1b}".into(),
                ..Request::default()
            }),
            response: Some(Response { status: 200, outcome: "complete".into(), ..Response::default() }),
            ..Event::default()
        };
        Page { schema: 1, events: vec![event.clone(), event], next: Some(2), cursor: Some(2) }
    }

    #[test]
    fn programs_get_one_event_a_line() {
        let (printer, out, _) = paper::printer(Output::Jsonl);
        print(&page(), &printer).unwrap();
        let lines: Vec<Event> = out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, page().events);
    }

    #[test]
    fn figures_stand_behind_the_path() {
        let response = |tokens, first_token_ms| Response { tokens, first_token_ms, ..Response::default() };
        let tokens = Tokens { input: 14, output: 9, total: None, estimated: true };
        assert_eq!(figures(Some(&response(Some(tokens), Some(212)))), ", ~14+9 tokens, first after 212 ms");
        assert_eq!(
            figures(Some(&response(Some(Tokens { estimated: false, ..tokens }), None))),
            ", 14+9 tokens"
        );
        assert_eq!(figures(None), "");
    }

    #[test]
    fn hostile_bytes_in_every_cell_are_shown_and_not_obeyed() {
        let hostile = "a\u{1b}[2J\0\r\n\t\u{7}\u{9b}\u{202e}\u{2028}b".to_owned() + &"x".repeat(100_000);
        let mut page = page();
        let event = &mut page.events[0];
        (event.time, event.kind, event.model) = (hostile.clone(), hostile.clone(), Some(hostile.clone()));
        event.caller.as_mut().unwrap().subject = hostile.clone();
        event.decision.as_mut().unwrap().verdict = hostile.clone();
        event.response.as_mut().unwrap().outcome = hostile.clone();
        let request = event.request.as_mut().unwrap();
        (request.method, request.path) = (hostile.clone(), hostile);
        for output in [Output::Human, Output::Json, Output::Jsonl] {
            let (printer, out, _) = paper::printer(output);
            print(&page, &printer).unwrap();
            let text = out.text();
            for one in ['\u{1b}', '\0', '\r', '\t', '\u{7}', '\u{9b}', '\u{202e}', '\u{2028}'] {
                assert!(!text.contains(one), "{output:?}: {one:?}");
            }
            let lines = if output == Output::Human { 3 } else { text.lines().count() };
            assert_eq!(text.lines().count(), lines, "a cell begins no line");
        }
    }

    #[test]
    fn people_get_a_table() {
        let (printer, out, _) = paper::printer(Output::Human);
        print(&page(), &printer).unwrap();
        assert!(out.text().contains(
            "2026-11-23T06:00:00.000Z  exchange  alice  llama  permit   200 complete  POST /v1/x\\u{1b}\n"
        ));
    }
}
