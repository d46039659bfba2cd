//! The guard by itself: every form of the corpus, however its bytes are cut, and hyper behind it.

pub(in crate::gateway) mod corpus;
mod answers;
mod whole;
