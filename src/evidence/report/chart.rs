//! Charts as inline SVG: shapes are printed where backgrounds are not.

use std::fmt::Write;

use super::{
    Count, Day, LegFigures,
    markup::{number, part, text},
};

/// Columns in a chart of days; more days are put together.
const COLUMNS: usize = 92;
const WIDTH: u64 = 720;
const HEIGHT: u64 = 150;
/// Below the columns, for the days' names.
const FOOT: u64 = 18;

/// A part of a bar: how much, of what look, and its name.
struct Piece {
    count: u64,
    look: &'static str,
    name: &'static str,
}

/// A bar of how one leg was protected, and its legend.
pub(super) fn leg(figures: &LegFigures, title: &str) -> String {
    let classical = figures.encrypted.saturating_sub(figures.post_quantum);
    let pieces = [
        Piece { count: figures.post_quantum, look: "best", name: "TLS, post-quantum key exchange" },
        Piece { count: classical, look: "good", name: "TLS, classical key exchange" },
        Piece { count: figures.local, look: "odd", name: "not encrypted, socket of the gateway's machine" },
        Piece { count: figures.plaintext, look: "bad", name: "not encrypted" },
    ];
    let whole = figures.exchanges;
    let mut bar = format!(
        "<svg class=\"bar\" viewBox=\"0 0 {WIDTH} 22\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}\"><rect class=\"track\" width=\"{WIDTH}\" height=\"22\"/>"
    );
    let mut legend = "<ul class=\"legend\">".to_owned();
    let mut from = 0;
    for Piece { count, look, name } in pieces.iter().filter(|piece| piece.count > 0) {
        // What is there at all is to be seen.
        let width = scaled(*count, whole, WIDTH).max(2).min(WIDTH.saturating_sub(from));
        // Writing into a string cannot fail.
        let _ = write!(bar, "<rect class=\"{look}\" x=\"{from}\" width=\"{width}\" height=\"22\"/>");
        let _ = write!(
            legend,
            "<li><svg viewBox=\"0 0 10 10\"><rect class=\"{look}\" width=\"10\" height=\"10\"/></svg>{name}: <b>{}</b> ({})</li>",
            part(*count, whole),
            number(*count)
        );
        from += width;
    }
    bar + "</svg>" + &legend + "</ul>"
}

/// A small bar for a share in a table.
pub(super) fn share(count: u64, whole: u64, bad: bool) -> String {
    let width = scaled(count, whole, 100).max(u64::from(count > 0));
    let look = if bad { "bad" } else { "good" };
    format!(
        "<svg class=\"share\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" width=\"100\" height=\"8\"/><rect class=\"{look}\" width=\"{width}\" height=\"8\"/></svg>"
    )
}

/// A column in a chart of days.
#[derive(Clone, Debug, Default)]
struct Bar {
    first: String,
    last: String,
    whole: u64,
    bad: u64,
}

/// Exchanges day by day, and how many of them were not encrypted.
pub(super) fn days(days: &[Day]) -> String {
    let bars = days.iter().map(|day| Bar {
        first: day.day.clone(),
        last: day.day.clone(),
        whole: day.exchanges,
        bad: day.unencrypted,
    });
    columns(bars.collect(), "Exchanges by day", "exchanges", "not encrypted")
}

/// Refused attempts day by day.
pub(super) fn attempts(days: &[Count]) -> String {
    let bars = days.iter().map(|day| Bar {
        first: day.name.clone(),
        last: day.name.clone(),
        whole: day.count,
        bad: day.count,
    });
    columns(bars.collect(), "Refused connections by day", "attempts", "refused")
}

fn columns(bars: Vec<Bar>, title: &str, what: &str, bad: &str) -> String {
    let bars = together(bars);
    let Some(highest) = bars.iter().map(|bar| bar.whole).max().filter(|highest| *highest > 0) else {
        return String::new();
    };
    let step = WIDTH / (bars.len() as u64).max(1);
    let mut chart = format!(
        "<figure><svg class=\"columns\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{title}\"><line class=\"axis\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}.5\" y2=\"{HEIGHT}.5\"/>",
        HEIGHT + FOOT
    );
    let wide = step.min(48);
    for (at, bar) in (0..).zip(&bars) {
        let x = at * step;
        let height = scaled(bar.whole, highest, HEIGHT).max(u64::from(bar.whole > 0));
        let red = scaled(bar.bad, highest, HEIGHT).max(u64::from(bar.bad > 0)).min(height);
        let name = if bar.first == bar.last {
            text(&bar.first)
        } else {
            format!("{} – {}", text(&bar.first), text(&bar.last))
        };
        let gap = u64::from(wide > 3);
        let _ = write!(
            chart,
            "<g><title>{name}: {} {what}, {} {bad}</title><rect class=\"good\" x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{}\"/><rect class=\"bad\" x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{red}\"/></g>",
            number(bar.whole),
            number(bar.bad),
            HEIGHT - height,
            wide - gap,
            height - red,
            HEIGHT - red,
            wide - gap,
        );
    }
    let end = (bars.len() as u64 * step).saturating_sub(step - wide).max(150);
    let label = |bar: Option<&Bar>, of: fn(&Bar) -> &String| bar.map(|bar| text(of(bar))).unwrap_or_default();
    let (first, last) = (label(bars.first(), |bar| &bar.first), label(bars.last(), |bar| &bar.last));
    let _ = write!(chart, "<text x=\"0\" y=\"{}\">{first}</text>", HEIGHT + 14);
    if bars.len() > 1 {
        let _ = write!(chart, "<text x=\"{end}\" y=\"{}\" text-anchor=\"end\">{last}</text>", HEIGHT + 14);
    }
    let _ = write!(
        chart,
        "</svg><figcaption>{title}; the highest column is {} {what}.</figcaption></figure>",
        number(highest)
    );
    chart
}

/// As many days in one column as are needed for the chart to be readable.
fn together(bars: Vec<Bar>) -> Vec<Bar> {
    let each = bars.len().div_ceil(COLUMNS).max(1);
    let sum = |some: &[Bar]| Bar {
        first: some.first().map(|bar| bar.first.clone()).unwrap_or_default(),
        last: some.last().map(|bar| bar.last.clone()).unwrap_or_default(),
        whole: some.iter().fold(0, |sum: u64, bar| sum.saturating_add(bar.whole)),
        bad: some.iter().fold(0, |sum: u64, bar| sum.saturating_add(bar.bad)),
    };
    bars.chunks(each).map(sum).collect()
}

/// `count` of `whole`, on a scale of `length`.
fn scaled(count: u64, whole: u64, length: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(length) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(length).min(length)
}
