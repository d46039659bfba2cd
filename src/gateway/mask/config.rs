//! What an operator says about the masking of one model.

use std::sync::Arc;

use super::{lanes::Field, rules::Rules};

/// How a model's texts are masked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is masked in text, and how.
    pub rules: Arc<Rules>,
    /// Values of JSON answers that are masked whole, whatever they are.
    pub fields: Arc<[Field]>,
    /// Whether the model receives masked requests too.
    pub request: bool,
    /// What becomes of an answer whose content type is not known.
    pub unknown: Unknown,
}

/// What becomes of an answer that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It does not reach the caller.
    #[default]
    Refuse,
    /// It passes as it is.
    Pass,
}
