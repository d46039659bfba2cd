//! A verdict of *ask* becomes a permit, or does not: requests for a person's yes, who may give it, and how long it lasts.

mod request;

pub use request::{Request, State, Vote};
