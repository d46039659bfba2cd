//! STREAMING MASKING: values that must not be seen are replaced while the text streams, however it is cut.

mod check;
mod config;
mod custom;
mod entity;
mod find;
mod input;
mod labels;
mod lanes;
mod masker;
mod masking;
mod rules;
mod scan;
mod style;
mod swallow;
mod utf8;
mod view;

pub use config::{Config, Unknown};
pub use custom::{Custom, CustomError, Validator};
pub use entity::{Entity, Group};
pub use lanes::{Answer, Decoder, Field, Form, NoField, NotUnderstood};
pub use masker::Masker;
pub use masking::Masking;
pub use rules::{Rules, UnknownEntity};
pub use style::{Key, Style};
pub use utf8::{NotUtf8, Utf8};

#[cfg(test)]
mod tests;
