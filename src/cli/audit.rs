//! `hoopctl audit`.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    table::Table,
};
use crate::{
    clock::{parse_rfc3339, rfc3339},
    config::laptop::Output,
    evidence::event::{Event, Response},
};

/// The flags of `audit`.
#[derive(Args, Debug)]
pub(super) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show events, the newest last
    Query(Query),
}

/// The flags of `audit query`.
#[derive(Args, Debug, Default)]
struct Query {
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
    #[arg(long, value_parser = PossibleValuesParser::new(["permit", "ask", "deny"]))]
    verdict: Option<String>,
    /// Only after this cursor, the `next` of an earlier answer
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// The body of `GET /api/v1/audit/events`.
#[derive(Debug, Deserialize, Serialize)]
struct Page {
    schema: u32,
    events: Vec<Event>,
    #[serde(default)]
    next: Option<u64>,
}

/// Asks the gateway.
pub(super) async fn perform(args: Audit, with: &Invocation) -> Outcome {
    let What::Query(query) = args.what;
    let path = path(&query, with.clock.now())?;
    let (_laptop, link) = with.connected().await?;
    let page: Page = link.api::<(), Page>("GET", &path, None).await?;
    link.close().await;
    print(&page, &with.printer)?;
    Ok(DONE)
}

fn path(query: &Query, now: SystemTime) -> Result<String, Failure> {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (key, text) in [("since", &query.since), ("until", &query.until)] {
        if let Some(text) = text {
            pairs.append_pair(key, &rfc3339(instant(key, text, now)?));
        }
    }
    for (key, text) in [
        ("user", &query.user),
        ("model", &query.model),
        ("kind", &query.kind),
        ("exchange", &query.exchange),
        ("session", &query.session),
        ("verdict", &query.verdict),
    ] {
        if let Some(text) = text {
            pairs.append_pair(key, text);
        }
    }
    if let Some(after) = query.after {
        pairs.append_pair("after", &after.to_string());
    }
    pairs.append_pair("limit", &query.limit.to_string());
    Ok(format!("/api/v1/audit/events?{}", pairs.finish()))
}

/// A point in time, or one so long ago.
fn instant(flag: &str, text: &str, now: SystemTime) -> Result<SystemTime, Failure> {
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

fn print(page: &Page, printer: &Printer) -> Result<(), Failure> {
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
        let query = Query {
            since: Some("1h".into()),
            user: Some("a&b c".into()),
            verdict: Some("deny".into()),
            after: Some(7),
            limit: 5,
            ..Query::default()
        };
        assert_eq!(
            path(&query, now()).unwrap(),
            "/api/v1/audit/events?since=2026-11-23T06%3A00%3A00.000Z&user=a%26b+c&verdict=deny&after=7&limit=5"
        );
    }

    fn page() -> Page {
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
        Page { schema: 1, events: vec![event.clone(), event], next: Some(2) }
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
    fn people_get_a_table() {
        let (printer, out, _) = paper::printer(Output::Human);
        print(&page(), &printer).unwrap();
        assert!(out.text().contains(
            "2026-11-23T06:00:00.000Z  exchange  alice  llama  permit   200 complete  POST /v1/x\\u{1b}\n"
        ));
    }
}
