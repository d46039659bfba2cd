//! Answers that are believed, and every attack on them that is known: each differs from a good answer in one thing.

mod attacks;
mod encrypted;
mod rules;
