//! The guard by itself: every form of the corpus, however its bytes are cut, and hyper behind it.

mod answers;
pub(in crate::gateway) mod corpus;
mod whole;
