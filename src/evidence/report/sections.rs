//! The page's sections, in the order in which an auditor asks.

use std::fmt::Write;

use super::{
    Happening, Head, LegFigures, Listed, Report, Share, chart,
    markup::{Column, Table, moment, number, part, term, text},
};

use Column::{Number, Whole, Words};

/// Writes every section.
pub(super) fn write(report: &Report, page: &mut String) {
    let sections: [(&str, &str, String); 13] = [
        ("legs", "Both legs", legs(report)),
        ("days", "Day by day", days(report)),
        ("relaxed", "Relaxed TLS", relaxed(report)),
        ("plaintext", "Refused plaintext", plaintext(report)),
        ("certificates", "Certificates", happenings(&report.certificates, "events of certificates")),
        ("access", "Access and approvals", access(report)),
        ("masking", "Masking", masking(report)),
        ("changes", "Changes of policy and configuration", happenings(&report.changes, "starts or changes")),
        ("recordings", "Recordings", recordings(report)),
        ("gaps", "Gaps", gaps(report)),
        ("use", "Callers and models", usage(report)),
        ("controls", "Controls", controls(report)),
        (
            "verify",
            "Verify this",
            report.checkpoint.as_ref().map(|head| verify(report, head)).unwrap_or_default(),
        ),
    ];
    for (id, title, body) in sections.iter().filter(|(_, _, body)| !body.is_empty()) {
        // Writing into a string cannot fail.
        let _ = write!(page, "<section id=\"{id}\"><h2>{title}</h2>{body}</section>");
    }
}

fn legs(report: &Report) -> String {
    let of = |title: &str, note: &str, figures: &LegFigures| {
        if figures.exchanges == 0 {
            return format!("<div><h3>{title}</h3><p class=\"none\">No exchanges in this time.</p></div>");
        }
        let unverified = match figures.unverified {
            0 => String::new(),
            count => format!(
                "<p class=\"ask\">{} were encrypted to a server whose certificate was not verified.</p>",
                number(count)
            ),
        };
        format!(
            "<div><h3>{title}</h3><p class=\"note\">{} {note}</p>{}{unverified}</div>",
            number(figures.exchanges),
            chart::leg(figures, title)
        )
    };
    let mut markup = "<div class=\"legs\">".to_owned()
        + &of("Caller to gateway", "exchanges", &report.client)
        + &of("Gateway to model", "exchanges that reached a model's server", &report.upstream)
        + "</div>";
    for (title, of) in [
        ("TLS version", (|figures| &figures.versions) as fn(&LegFigures) -> &Vec<Share>),
        ("Cipher suite", |figures| &figures.ciphers),
        ("Key exchange", |figures| &figures.groups),
        ("Carrier", |figures| &figures.transports),
    ] {
        let _ = write!(
            markup,
            "<div class=\"legs\"><div>{}</div><div>{}</div></div>",
            shares(&format!("{title}, caller to gateway"), of(&report.client)),
            shares(&format!("{title}, gateway to model"), of(&report.upstream)),
        );
    }
    markup
}

fn shares(title: &str, shares: &[Share]) -> String {
    if shares.is_empty() {
        return String::new();
    }
    let whole = shares.iter().map(|share| share.exchanges).sum();
    let mut table = Table::new(&[(title, Whole), ("Exchanges", Number), ("Share", Number), ("", Words)]);
    for share in shares {
        table.row([
            term(&share.name),
            number(share.exchanges),
            part(share.exchanges, whole),
            chart::share(share.exchanges, whole, share.unencrypted),
        ]);
    }
    table.end(0, "exchanges")
}

fn days(report: &Report) -> String {
    let chart = chart::days(&report.days);
    if chart.is_empty() {
        return "<p class=\"none\">No exchanges in this time.</p>".to_owned();
    }
    let outcomes: Vec<String> = report
        .exchanges
        .outcomes
        .iter()
        .map(|outcome| format!("{} {}", number(outcome.count), text(&outcome.name)))
        .collect();
    format!("{chart}<p>How they ended: {}.</p>", outcomes.join(", "))
}

fn relaxed(report: &Report) -> String {
    let mut table = Table::new(&[
        ("Model", Words),
        ("Server", Words),
        ("Exchanges", Number),
        ("Plaintext", Number),
        ("Unverified", Number),
        ("First", Whole),
        ("Last", Whole),
    ]);
    for used in &report.relaxed.shown {
        table.row([
            text(&used.model),
            text(if used.url.is_empty() { "-" } else { &used.url }),
            number(used.exchanges),
            number(used.plaintext),
            number(used.unverified),
            moment(&used.first),
            moment(&used.last),
        ]);
    }
    "<p class=\"note\">Models whose operator has said <code>tls = \"relaxed\"</code>: the gateway may reach them in plaintext, or without verifying them.</p>".to_owned()
        + &table.of(&report.relaxed, "uses of relaxed TLS")
}

fn plaintext(report: &Report) -> String {
    let mut table = Table::new(&[("Source", Words), ("Attempts", Number)]);
    for source in &report.plaintext.sources.shown {
        table.row([text(&source.name), number(source.count)]);
    }
    format!(
        "<p class=\"note\">Connections to the TLS port that were not TLS. Each was refused, and nothing of it kept but source and time.</p>{}{}",
        chart::attempts(&report.plaintext.days),
        table.of(&report.plaintext.sources, "attempts")
    )
}

fn happenings(list: &Listed<Happening>, what: &str) -> String {
    let mut table = Table::new(&[("When", Whole), ("What", Whole), ("Who", Words), ("Detail", Words)]);
    for happening in &list.shown {
        table.row([
            moment(&happening.time),
            term(&happening.kind),
            text(if happening.user.is_empty() { "-" } else { &happening.user }),
            text(&happening.detail),
        ]);
    }
    table.of(list, what)
}

fn access(report: &Report) -> String {
    let access = &report.access;
    let mut table = Table::new(&[
        ("Approval", Words),
        ("Model", Words),
        ("Asked by", Words),
        ("Approved by", Words),
        ("State", Words),
        ("When", Whole),
        ("Uses", Number),
    ]);
    for approval in &report.approvals.shown {
        let said = match (approval.approvers.is_empty(), approval.denied_by.is_empty()) {
            (_, false) => format!("no: {}", approval.denied_by),
            (true, true) => "-".to_owned(),
            (false, true) => approval.approvers.join(", "),
        };
        let asked = if approval.requester.is_empty() { "(earlier)" } else { &approval.requester };
        table.row([
            text(&approval.id),
            text(&approval.model),
            text(asked),
            text(&said),
            text(&approval.state),
            moment(&approval.changed_at),
            number(approval.exchanges),
        ]);
    }
    format!(
        "<p>{} logins, {} renewals, {} failed logins, {} requests without a known caller. The log of others was read {} times, a recording opened {} times.</p><h3>Approvals</h3>{}<h3>Revocations</h3>{}",
        number(access.logins),
        number(access.renewals),
        number(access.failed_logins),
        number(access.unknown_callers),
        number(access.audit_reads),
        number(access.recording_reads),
        table.of(&report.approvals, "approvals"),
        happenings(&report.revocations, "revocations")
    )
}

fn masking(report: &Report) -> String {
    let mut masked = Table::new(&[("Entity", Words), ("Values masked", Number), ("In exchanges", Number)]);
    for entity in &report.masked.shown {
        masked.row([text(&entity.entity), number(entity.values), number(entity.exchanges)]);
    }
    let mut unmasked = Table::new(&[
        ("Who", Words),
        ("Model", Words),
        ("By policy", Words),
        ("Exchanges", Number),
        ("First", Whole),
        ("Last", Whole),
    ]);
    for used in &report.unmasked.shown {
        unmasked.row([
            text(&used.user),
            text(&used.model),
            text(&used.policies.join(", ")),
            number(used.exchanges),
            moment(&used.first),
            moment(&used.last),
        ]);
    }
    format!(
        "{}<h3>Unmasked</h3><p class=\"note\">Answers of masked models that a policy let somebody see as they were.</p>{}",
        masked.of(&report.masked, "masked values"),
        unmasked.of(&report.unmasked, "unmasked answers")
    )
}

fn recordings(report: &Report) -> String {
    let recordings = &report.recordings;
    format!(
        "<p>{} of {} exchanges have a recording.</p><h3>What happened to recordings</h3>{}",
        number(recordings.recorded),
        number(report.exchanges.total),
        happenings(&recordings.failures, "failures or deletions of recordings")
    )
}

fn gaps(report: &Report) -> String {
    let mut table = Table::new(&[("From", Whole), ("Until", Whole), ("What", Whole), ("Detail", Words)]);
    for gap in &report.gaps.shown {
        let until = if gap.until.is_empty() { "-".to_owned() } else { moment(&gap.until) };
        table.row([moment(&gap.from), until, term(&gap.kind), text(&gap.detail)]);
    }
    "<p class=\"note\">What the log does not show, or not whole: time without a gateway, exchanges without an end, damage, a clock that went back.</p>".to_owned()
        + &table.of(&report.gaps, "gaps")
}

fn usage(report: &Report) -> String {
    let mut models = Table::new(&[
        ("Model", Words),
        ("Exchanges", Number),
        ("Refused", Number),
        ("Not encrypted", Number),
        ("Relaxed", Number),
        ("Masked", Number),
        ("Unmasked", Number),
    ]);
    for model in &report.models.shown {
        let counts =
            [model.exchanges, model.refused, model.unencrypted, model.relaxed, model.masked, model.unmasked]
                .map(number);
        let [all, refused, bare, relaxed, masked, unmasked] = counts;
        models.row([text(&model.name), all, refused, bare, relaxed, masked, unmasked]);
    }
    let mut callers = Table::new(&[
        ("Caller", Words),
        ("Provider", Words),
        ("Exchanges", Number),
        ("Refused", Number),
        ("Not encrypted", Number),
    ]);
    for caller in &report.callers.shown {
        let [all, refused, bare] = [caller.exchanges, caller.refused, caller.unencrypted].map(number);
        callers.row([text(&caller.user), text(&caller.provider), all, refused, bare]);
    }
    format!(
        "{}<h3>Callers</h3>{}",
        models.of(&report.models, "models"),
        callers.of(&report.callers, "callers")
    )
}

fn controls(report: &Report) -> String {
    let mut markup =
        "<p class=\"note\">Which figures speak to which control. Whether a control is met is the auditor's to say.</p>".to_owned();
    let list = |lines: &[String], class: &str| {
        let lines: String = lines.iter().map(|line| format!("<li{class}>{}</li>", text(line))).collect();
        lines
    };
    for control in &report.controls {
        let _ = write!(
            markup,
            "<div class=\"control\"><h3>{} {}</h3><p class=\"note\">{}</p><ul>{}{}</ul></div>",
            text(&control.framework),
            text(&control.id),
            text(&control.about),
            list(&control.evidence, ""),
            list(&control.attention, " class=\"ask\"")
        );
    }
    markup
}

fn verify(report: &Report, head: &Head) -> String {
    let covers = match (head.verified, head.covers) {
        (true, true) => {
            "When this report was made, each event of the log was checked against the head below."
        }
        (false, true) => "The head below is signed over every event that these figures are of.",
        (_, false) => {
            "The head below does not cover the last events of this report yet: ask for a checkpoint again."
        }
    };
    let mut again = "hoopctl audit report --bundle audit".to_owned();
    if !report.since.is_empty() {
        again.push_str(&format!(" --since {}", report.since));
    }
    again.push_str(&format!(" --until {} --format json", report.until));
    format!(
        "<p>{covers} Do not take this page's word for it: keep the checkpoint as a file, <code>report.checkpoint</code>, compare the key with the one that you were given, and let it be proven.</p>\
<pre>{}</pre><dl><dt>Log</dt><dd>{}</dd><dt>Events</dt><dd>{}</dd><dt>Root</dt><dd><code>{}</code></dd><dt>Key</dt><dd><code>{}</code></dd><dt>SHA-256 of the key</dt><dd><code>{}</code></dd></dl>\
<h3>At the gateway</h3><pre>hoopctl audit verify --key '{}' --checkpoint report.checkpoint</pre>\
<h3>Without the gateway, and these figures again</h3><pre>hoopctl audit export --bundle audit\nhoopctl audit verify --bundle audit --key '{}' --checkpoint report.checkpoint\n{} --key '{}'</pre>",
        note(&head.note),
        text(&head.origin),
        number(head.size),
        text(&head.root),
        text(&head.key),
        text(&head.key_sha256),
        text(&head.key),
        text(&head.key),
        text(&again),
        text(&head.key),
    )
}

/// A signed note, line by line: to be copied as it is.
fn note(note: &str) -> String {
    let lines: Vec<String> = note.lines().map(text).collect();
    lines.join("\n")
}
