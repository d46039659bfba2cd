//! What can be proven offline, by either side.

pub mod csv;
pub mod event;
pub mod leaf;
pub mod ocsf;
pub mod playback;
pub mod recording;
pub mod report;
pub mod tlog;
pub mod trace;
