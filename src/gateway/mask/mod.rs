//! STREAMING MASKING: values that must not be seen are replaced while the text streams, however it is cut.

mod check;
mod config;
mod custom;
mod entity;
mod find;
mod input;
mod keys;
mod labels;
mod lanes;
mod masker;
mod masking;
mod names;
mod rules;
mod scan;
mod style;
mod swallow;
mod utf8;
mod view;

pub use config::{Analysis, Config, Unknown};
pub use custom::{Custom, CustomError, Validator};
pub use entity::{Entity, Group};
pub use keys::Keys;
pub use lanes::{Answer, Decoder, Field, Form, NoField, NotUnderstood};
pub use masker::Masker;
pub use masking::Masking;
pub use names::{LONGEST_SENTENCE, Names, NoAnswer, Span};
pub use rules::{Rules, UnknownEntity};
pub use style::{Key, Style};
pub use utf8::{NotUtf8, Utf8};

#[cfg(test)]
mod tests;
