//! Reads layers (flag > env > user > system), knows each value's source, reports all mistakes at once.
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod laptop;
