//! The rules, with races.
