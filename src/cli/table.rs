//! Aligned columns for people.

use super::sanitize;

/// Rows under a heading; cells are foreign text and neutralised.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table; an empty heading is not shown.
    pub(super) fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| sanitize::line(cell.as_ref()).into_owned()).collect());
    }

    /// The lines: the heading first, when there is one.
    pub(super) fn lines(&self) -> (Option<String>, Vec<String>) {
        let mut widths: Vec<usize> = self.heading.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                let width = cell.chars().count();
                match widths.get_mut(at) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        let heading = (!self.heading.is_empty()).then(|| aligned(&self.heading, &widths));
        (heading, self.rows.iter().map(|row| aligned(row, &widths)).collect())
    }
}

fn aligned(cells: &[impl AsRef<str>], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = cell.as_ref();
        line.push_str(cell);
        // Two spaces between columns.
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_cannot_break_out() {
        let mut table = Table::new(&["NAME", "ACCESS"]);
        table.row(["llama", "permit"]);
        table.row(["a\u{1b}\nb", "ask"]);
        let (heading, rows) = table.lines();
        assert_eq!(heading.as_deref(), Some("NAME        ACCESS"));
        assert_eq!(rows, ["llama       permit", "a\\u{1b}\\nb  ask"]);
    }
}
