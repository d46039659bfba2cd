//! Whole exchanges, from the bytes of a stream to those of a server on loopback and back.

mod analysing;
mod approving;
mod bodies;
mod corners;
mod dialects;
mod ends;
mod framing;
mod grpc;
mod held;
mod limits;
mod masking;
mod protocols;
mod recording;
mod refusals;
mod servers;
mod signing;
mod switching;
mod trust;
mod upstreams;
mod world;
