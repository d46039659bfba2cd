//! The report as one page that needs nothing else: no script, no font, no picture from anywhere; readable on paper.

use std::fmt::Write;

use super::{
    Report,
    markup::{moment, number, part, text},
    sections,
};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &Report) -> String {
    let mut page = String::with_capacity(64 * 1024);
    let log = report.checkpoint.as_ref().map(|head| head.origin.as_str()).unwrap_or_default();
    // Writing into a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
<meta name=\"referrer\" content=\"no-referrer\"><title>Encryption in transit, {} to {}</title><style>{STYLE}</style></head><body><main>",
        day(&report.since),
        day(&report.until),
    );
    let _ = write!(
        page,
        "<header><p class=\"log\">{}</p><h1>Encryption in transit</h1><p class=\"time\">{} to {} <span>(UTC, as all times here)</span></p></header>",
        text(log),
        if report.since.is_empty() { "the beginning of the log".to_owned() } else { moment(&report.since) },
        moment(&report.until),
    );
    page.push_str(&summary(report));
    page.push_str(&tiles(report));
    sections::write(report, &mut page);
    let _ = writeln!(
        page,
        "<footer><p>Made {} by {}. The same figures as JSON: <code>hoopctl audit report --format json</code>.</p></footer></main></body></html>",
        moment(&report.made_at),
        text(&report.made_by),
    );
    page
}

fn day(time: &str) -> String {
    if time.is_empty() { "the beginning".to_owned() } else { text(time.get(..10).unwrap_or(time)) }
}

/// What the whole comes to, in a sentence that hides nothing.
fn summary(report: &Report) -> String {
    let exchanges = &report.exchanges;
    let whole = exchanges.total;
    if report.events.total == 0 {
        return "<p class=\"verdict\">The log has no event of this time: there is nothing to report on.</p>"
            .to_owned();
    }
    if whole == 0 {
        return "<p class=\"verdict\">No model was used in this time.</p>".to_owned();
    }
    let mut said = Vec::new();
    if exchanges.unencrypted > 0 {
        let local = match exchanges.unencrypted_local {
            0 => String::new(),
            local => format!(", {} of them only over a socket of the gateway's own machine", number(local)),
        };
        said.push(format!(
            "<b>{} of {} exchanges ({}) were not encrypted on every leg</b>{local}.",
            number(exchanges.unencrypted),
            number(whole),
            part(exchanges.unencrypted, whole)
        ));
    }
    if exchanges.unknown > 0 {
        said.push(format!(
            "Of {} exchanges the log does not say how they were carried.",
            number(exchanges.unknown)
        ));
    }
    if said.is_empty() {
        said.push(format!("<b>All {} exchanges were encrypted on each leg they had.</b>", number(whole)));
    }
    let unverified = report.client.unverified + report.upstream.unverified;
    if unverified > 0 {
        said.push(format!("{} were encrypted to a server that was not verified.", number(unverified)));
    }
    match report.gaps.total {
        0 => said.push("The log has no gaps that it knows of.".to_owned()),
        gaps => said.push(format!("The log has {} <a href=\"#gaps\">gaps</a>.", number(gaps))),
    }
    let good = exchanges.unencrypted == 0 && exchanges.unknown == 0 && unverified == 0;
    let look = if good { "good" } else { "bad" };
    format!("<p class=\"verdict {look}\">{}</p>", said.join(" "))
}

fn tiles(report: &Report) -> String {
    let exchanges = &report.exchanges;
    let whole = exchanges.total;
    let tile = |value: String, what: &str| format!("<li><b>{value}</b>{what}</li>");
    let share = |count| if whole == 0 { "–".to_owned() } else { part(count, whole) };
    format!(
        "<ul class=\"tiles\">{}{}{}{}{}{}</ul>",
        tile(number(whole), "exchanges"),
        tile(share(exchanges.encrypted), "encrypted on every leg"),
        tile(share(exchanges.unencrypted), "not encrypted on a leg"),
        tile(share(exchanges.post_quantum), "post-quantum on every leg"),
        tile(number(report.plaintext.attempts), "plaintext connections refused"),
        tile(number(report.gaps.total), "gaps in the log"),
    )
}
