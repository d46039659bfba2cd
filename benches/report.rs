//! The table: medians over the rounds, what is added over direct, and ratios to the best peer.

use std::{collections::BTreeMap, fmt};

use crate::shapes::Shape;

pub struct Report {
    head: String,
    shapes: Vec<&'static str>,
    rows: Vec<&'static str>,
    cells: BTreeMap<(&'static str, &'static str), Vec<f64>>,
    singles: Vec<(&'static str, f64)>,
}

impl Report {
    pub fn new(shapes: &[Shape], head: &str) -> Self {
        Self {
            head: head.to_owned(),
            shapes: shapes.iter().map(|s| s.name).collect(),
            rows: Vec::new(),
            cells: BTreeMap::new(),
            singles: Vec::new(),
        }
    }

    pub fn add(&mut self, shape: &Shape, row: &'static str, value: f64) {
        if !self.rows.contains(&row) {
            self.rows.push(row);
        }
        self.cells.entry((row, shape.name)).or_default().push(value);
    }

    pub fn load_after(&mut self, load: &str) {
        self.head += &format!(", after: {load}");
    }

    pub fn add_single(&mut self, row: &'static str, value: f64) {
        self.singles.push((row, value));
    }

    /// Two shapes and the one over the other.
    pub fn over(&self, shape: &'static str, base: &'static str) -> String {
        let mut text =
            format!("{}\n\n{:<50}{base:>14}{shape:>14}{:>8}\n", self.head, "median over the rounds", "ratio");
        for row in &self.rows {
            if let (Some(one), Some(other)) = (self.median(row, base), self.median(row, shape)) {
                text += &format!("{row:<50}{one:>14.2}{other:>14.2}{:>8.2}\n", other / one);
            }
        }
        text
    }

    /// One cell.
    pub fn median(&self, row: &'static str, shape: &'static str) -> Option<f64> {
        self.cells.get(&(row, shape)).map(|values| median(values))
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.head)?;
        write!(f, "{:<50}", "median over the rounds")?;
        for shape in &self.shapes {
            write!(f, "{shape:>14}")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{row:<50}")?;
            for shape in &self.shapes {
                match self.median(row, shape) {
                    Some(value) => write!(f, "{value:>14.2}")?,
                    None => write!(f, "{:>14}", "–")?,
                }
            }
            writeln!(f)?;
        }
        for (row, value) in &self.singles {
            writeln!(f, "{row:<50}{value:>14.2}")?;
        }
        writeln!(f, "\nadded over direct, and bulk as a share of direct")?;
        for row in [
            "one at a time, p50 µs",
            "one at a time, p99 µs",
            "SSE every 10 ms, delay p50 µs",
            "SSE every 10 ms, delay p99 µs",
            "bulk, MB/s",
        ] {
            write!(f, "{row:<50}")?;
            for shape in &self.shapes {
                match (self.median(row, shape), self.median(row, "direct")) {
                    (Some(value), Some(direct)) if row.starts_with("bulk") => {
                        write!(f, "{:>14.2}", value / direct)?
                    }
                    (Some(value), Some(direct)) => write!(f, "{:>14.2}", value - direct)?,
                    _ => write!(f, "{:>14}", "–")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f, "\neach over the best of haproxy and nginx, or over bare quic where there is neither")?;
        for row in &self.rows {
            let peers = ["haproxy", "nginx"].into_iter().filter_map(|peer| self.median(row, peer));
            let best = if row.contains("MB/s") { peers.reduce(f64::max) } else { peers.reduce(f64::min) };
            let Some(best) = best.or_else(|| self.median(row, "bare quic")) else { continue };
            write!(f, "{row:<50}")?;
            for shape in &self.shapes {
                match self.median(row, shape) {
                    Some(value) => write!(f, "{:>14.2}", value / best)?,
                    None => write!(f, "{:>14}", "–")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
