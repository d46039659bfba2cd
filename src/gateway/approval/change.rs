//! What happens to requests, for the audit log and for whoever tells people.

use std::sync::Arc;

use super::Request;
use crate::gateway::identity::Caller;

/// One step of a request.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which step.
    pub kind: Kind,
    /// The request after it.
    pub request: Arc<Request>,
    /// Who acted; nobody where time did.
    pub by: Option<Caller>,
}

/// The steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was made.
    Requested,
    /// Somebody said yes.
    Approved,
    /// It has all its yeses; follows the last [`Self::Approved`].
    Granted,
    /// Somebody said no.
    Denied,
    /// Nobody answered in time, or the model is no longer what it was.
    Expired,
    /// The approval is over, by time or by a no; its streams have been ended.
    Ended,
}

/// Takes changes into the audit log (this room ranks below it).
pub type Witness = Arc<dyn Fn(&Change) + Send + Sync>;
