//! A verdict of *ask* becomes a permit, or does not: requests for a person's yes, who may give it, and how long it lasts.
//!
//! ```text
//!  exchange ── ask ──▶ request (pending) ── approve × needed ──▶ approved ── its end, or a no ──▶ ended, denied
//!                        └── a no ──▶ denied    └── nobody in time ──▶ expired
//! ```
//!
//! The store decides: every step is a compare-and-swap there, and memory follows. Exchanges read memory alone.

mod approvals;
mod book;
mod change;
#[cfg(test)]
pub(crate) mod doubles;
mod error;
mod keeper;
pub mod notify;
mod request;
mod rules;
mod shown;
mod storage;
#[cfg(test)]
mod tests;

pub use approvals::{Approvals, Config, DEFAULT_LAPSE, MAX_PENDING, MAX_PENDING_OWN};
pub use book::Grant;
pub use change::{Change, Kind, Witness};
pub use error::ApprovalError;
pub use request::{Asking, Decider, Decision, Person, Request, State, Vote};
pub use rules::SHORTEST;
pub(in crate::gateway) use shown::{length, shown};
pub use storage::{Bounds, Filed, Filter, MAX_PAGE, Store};
