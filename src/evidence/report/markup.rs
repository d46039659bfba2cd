//! Pieces of the page: escaped text, numbers and tables. Whatever comes out of a log is foreign text.

use std::fmt::Write;

use super::{Listed, tally::percent};

/// Text as a page shows it: never markup, and what moves or reorders text is spelled out.
pub(super) fn text(foreign: &str) -> String {
    let mut safe = String::with_capacity(foreign.len());
    for one in foreign.chars() {
        match one {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            one if one.is_control() || is_unseen(one) => {
                // Writing into a string cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(one));
            }
            one => safe.push(one),
        }
    }
    safe
}

/// Characters that change the direction of text, separate lines, or show nothing (Unicode TR9, TR36).
fn is_unseen(one: char) -> bool {
    matches!(one, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A number with its thousands apart.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut spaced = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}

/// A technical term, which is broken at its underscores where it must be.
pub(super) fn term(foreign: &str) -> String {
    text(foreign).replace('_', "_<wbr>")
}

/// A part of a whole as people read it. It is all only when it is all, and nothing only when it is nothing.
pub(super) fn part(count: u64, whole: u64) -> String {
    let share = percent(count, whole);
    match count {
        0 => "0 %".to_owned(),
        _ if whole == 0 => String::new(),
        _ if count >= whole => "100 %".to_owned(),
        _ if share < 0.01 => "< 0.01 %".to_owned(),
        _ => format!("{share:.2} %"),
    }
}

/// A time as people read it: `2026-11-23 07:15:46`; what is no time stays as it is.
pub(super) fn moment(time: &str) -> String {
    match (time.get(..10), time.get(10..11), time.get(11..19)) {
        (Some(day), Some("T"), Some(clock)) => text(&format!("{day} {clock}")),
        _ => text(time),
    }
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Words.
    Words,
    /// A number, to the right.
    Number,
    /// A name or a time that is not to be broken without need.
    Whole,
}

/// A table under way. Cells are markup already: what is foreign goes through [`text`] first.
pub(super) struct Table {
    markup: String,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// A table with these headings, which are our own words.
    pub(super) fn new(columns: &[(&str, Column)]) -> Self {
        let mut markup = "<div class=\"wide\"><table><thead><tr>".to_owned();
        for (heading, column) in columns {
            let class = class(*column);
            let _ = write!(markup, "<th scope=\"col\"{class}>{heading}</th>");
        }
        markup.push_str("</tr></thead><tbody>");
        Self { markup, columns: columns.iter().map(|(_, column)| *column).collect(), rows: 0 }
    }

    /// One row of finished cells.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows += 1;
        self.markup.push_str("<tr>");
        for (cell, column) in cells.iter().zip(&self.columns) {
            let class = class(*column);
            let _ = write!(self.markup, "<td{class}>{cell}</td>");
        }
        self.markup.push_str("</tr>");
    }

    /// The table, and how many rows of the list it has not; or that there is nothing.
    pub(super) fn of<T>(self, list: &Listed<T>, what: &str) -> String {
        self.end(list.more(), what)
    }

    /// The table and `more` rows that it has not, of `what`, which is our own word.
    pub(super) fn end(mut self, more: u64, what: &str) -> String {
        if self.rows == 0 && more == 0 {
            return format!("<p class=\"none\">No {what} in this time.</p>");
        }
        self.markup.push_str("</tbody></table></div>");
        if more > 0 {
            let _ = write!(self.markup, "<p class=\"more\">and {} more {what}</p>", number(more));
        }
        self.markup
    }
}

fn class(column: Column) -> &'static str {
    match column {
        Column::Words => "",
        Column::Number => " class=\"number\"",
        Column::Whole => " class=\"whole\"",
    }
}
