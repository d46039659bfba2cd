//! Events as CSV (RFC 4180) that a spreadsheet shows and does not obey.

use std::fmt::Write;

use super::event::{Event, Leg};

/// The first line.
pub const HEADING: &str = "time,id,kind,subject,email,provider,groups,source,model,session,exchange,verdict,policies,approval,\
method,path,request_bytes,status,outcome,response_bytes,duration_ms,input_tokens,output_tokens,masked,\
client_transport,client_tls,client_cipher,client_group,upstream_transport,upstream_tls,upstream_cipher,upstream_group,\
upstream_verified,detail\r\n";

/// An event's line.
pub fn row(event: &Event) -> String {
    let caller = event.caller.clone().unwrap_or_default();
    let decision = event.decision.clone().unwrap_or_default();
    let request = event.request.as_ref();
    let response = event.response.as_ref();
    let tokens = response.and_then(|response| response.tokens);
    let evidence = event.evidence.clone().unwrap_or_default();
    let masked: Vec<String> =
        event.masked.iter().map(|(entity, count)| format!("{entity}={count}")).collect();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let verified = evidence.upstream.as_ref().and_then(|leg| leg.verified);
    let mut cells = vec![
        event.time.clone(),
        event.id.clone(),
        event.kind.clone(),
        caller.subject,
        text(&caller.email),
        caller.provider,
        caller.groups.join(" "),
        text(&event.source),
        text(&event.model),
        text(&event.session),
        text(&event.exchange),
        decision.verdict,
        decision.policies.join(" "),
        text(&decision.approval),
        request.map(|request| request.method.clone()).unwrap_or_default(),
        request.map(|request| request.path.clone()).unwrap_or_default(),
        number(request.map(|request| request.bytes)),
        number(response.map(|response| response.status.into())),
        response.map(|response| response.outcome.clone()).unwrap_or_default(),
        number(response.map(|response| response.bytes)),
        number(response.map(|response| response.duration_ms)),
        number(tokens.map(|tokens| tokens.input)),
        number(tokens.map(|tokens| tokens.output)),
        masked.join(" "),
    ];
    cells.extend(leg(evidence.client));
    cells.extend(leg(evidence.upstream));
    cells.push(verified.map(|verified| verified.to_string()).unwrap_or_default());
    cells.push(text(&event.detail));
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    cells.join(",") + "\r\n"
}

fn leg(leg: Option<Leg>) -> [String; 4] {
    let leg = leg.unwrap_or_default();
    [leg.transport, leg.tls, leg.cipher, leg.group]
}

/// A cell: controls are spelled out, and what a spreadsheet would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 2);
    // Their full-width twins too, which some programs take for the same.
    if text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
        || text.starts_with(['\t', '\r', '\n'])
    {
        safe.push('\'');
    }
    for one in text.chars() {
        match one {
            '"' => safe.push_str("\"\""),
            one if one.is_control() || is_direction(one) => {
                // Writing into a string cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(one));
            }
            one => safe.push(one),
        }
    }
    if safe.contains(['"', ',', '\'', ' ', ';']) { format!("\"{safe}\"") } else { safe }
}

/// Characters that change the direction of text, separate lines, or show nothing (Unicode TR9, TR36).
fn is_direction(one: char) -> bool {
    matches!(one, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{Caller, Request, Response};

    #[test]
    fn a_row_has_as_many_cells_as_the_heading() {
        let event = Event {
            time: "2026-11-23T07:15:46.123Z".into(),
            id: "ev_1".into(),
            kind: "exchange".into(),
            caller: Some(Caller { subject: "alice".into(), groups: vec!["a".into()], ..Caller::default() }),
            request: Some(Request {
                method: "POST".into(),
                path: "/v1".into(),
                bytes: 7,
                ..Request::default()
            }),
            response: Some(Response { status: 200, outcome: "complete".into(), ..Response::default() }),
            masked: [("email".to_owned(), 2)].into(),
            ..Event::default()
        };
        for event in [event.clone(), Event::default()] {
            assert_eq!(row(&event).matches(',').count(), HEADING.matches(',').count());
            assert!(row(&event).ends_with("\r\n"));
        }
        assert!(
            row(&event).starts_with("2026-11-23T07:15:46.123Z,ev_1,exchange,alice,,,a,,"),
            "{}",
            row(&event)
        );
        assert!(row(&event).contains(",POST,/v1,7,200,complete,0,0,,,email=2,"), "{}", row(&event));
    }

    #[test]
    fn nothing_in_a_cell_is_obeyed() {
        for (hostile, safe) in [
            ("plain", "plain"),
            ("=cmd|'/c calc'!A1", "\"'=cmd|'/c calc'!A1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" =1", "\"' =1\""),
            ("\u{ff1d}1", "\"'\u{ff1d}1\""),
            ("\t=1", "\"'\\u{9}=1\""),
            ("a,b\"c", "\"a,b\"\"c\""),
            ("one\r\ntwo", "one\\u{d}\\u{a}two"),
            ("\x1b[2J\u{9b}1m\0", "\\u{1b}[2J\\u{9b}1m\\u{0}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("模型", "模型"),
        ] {
            assert_eq!(cell(hostile), safe);
        }
    }
}
