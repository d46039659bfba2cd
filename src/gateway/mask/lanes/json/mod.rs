//! JSON in pieces.

mod escape;
mod path;
mod scan;
mod string;

#[cfg(test)]
mod tests;

pub(super) use escape::Escapes;
pub(super) use path::{Path, Step};
pub(super) use scan::{Malformed, Scanner, Sink};
