//! What can be proven offline, by either side.

pub mod event;
pub mod leaf;
pub mod tlog;
