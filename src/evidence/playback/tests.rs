//! Playback: what entries become.
