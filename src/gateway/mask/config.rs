//! What an operator says about the masking of one model.

use std::{sync::Arc, time::Duration};

use url::Url;

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
    /// Who finds names and addresses; `None`: nobody, and they are not masked.
    pub analyser: Option<Analysis>,
}

/// An external analyser, and what it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Its address, to which `/analyze` is added: https, or http to this machine.
    pub url: Url,
    /// Its names of what is to be masked, such as `PERSON`; at least one.
    pub entities: Vec<String>,
    /// How sure it must be, 0 to 1.
    pub score: f64,
    /// How long it may take for one sentence.
    pub timeout: Duration,
    /// The language of the texts, such as `en`.
    pub language: String,
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
