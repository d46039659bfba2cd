//! What approvals say no with.

use http::StatusCode;

use super::Problem;
use crate::{
    gateway::approval::{ApprovalError, Decision, Request},
    wire::code,
};

impl Problem {
    /// A request was filed, and the caller does not wait for it.
    pub fn approval_required(request: &Request, page: &str) -> Self {
        let from = by(request);
        let (id, model, user) = (&request.id, &request.model, &request.requester.user);
        Self::new(
            code::APPROVAL_REQUIRED,
            format!(
                "`{model}` needs an approval{from} before {user} may use it: {id} waits for it at {page}"
            ),
        )
        .remedy(format!("send the link to somebody who may approve, and try again once {id} is approved"))
    }

    /// The wait for an approval ended without one; `None` where it ended with one.
    pub fn not_approved(request: &Request, decision: &Decision) -> Option<Self> {
        let (id, model) = (&request.id, &request.model);
        Some(match decision {
            Decision::Approved { .. } => return None,
            Decision::Denied { by, comment } => {
                let said = comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
                Self::new(code::APPROVAL_DENIED, format!("{by} denied {id}, the approval for `{model}`{said}"))
                    .remedy("ask them why; a new request can be made at any time")
            }
            Decision::Expired => Self::new(
                code::APPROVAL_DENIED,
                format!("nobody answered {id}, the request for an approval of `{model}`, in time, or the model was changed"),
            )
            .remedy("ask again, and tell an approver that you do"),
            Decision::Closing => Self::new(
                code::DRAINING,
                format!("the gateway is going away; {id}, the request for an approval of `{model}`, stays"),
            )
            .remedy("send the request again: it waits for the same approval"),
            Decision::Unknown => {
                Self::new(code::INTERNAL, format!("the gateway lost track of {id}, a request for approval"))
                    .remedy("tell the gateway's operator: the cause is in the gateway's log")
            }
        })
    }

    /// An approval was asked for where none is needed.
    pub fn approval_needless(model: &str) -> Self {
        Self::new(code::BAD_REQUEST, format!("`{model}` needs no approval: policy lets you use it"))
            .status(StatusCode::CONFLICT)
            .remedy(format!("use it: hoopctl connect {model}"))
    }

    /// The approval that an exchange lived by is over.
    pub fn approval_ended(id: &str, model: &str) -> Self {
        Self::new(code::APPROVAL_DENIED, format!("{id}, the approval for `{model}`, has ended"))
            .remedy("ask for a new one: the next request does")
    }
}

impl From<ApprovalError> for Problem {
    fn from(error: ApprovalError) -> Self {
        let message = error.to_string();
        match error {
            ApprovalError::Unknown => Self::new(code::BAD_REQUEST, message)
                .status(StatusCode::NOT_FOUND)
                .remedy("list those you may see: hoopctl approvals list"),
            ApprovalError::Own => {
                Self::new(code::DENIED, message).remedy("ask somebody else who may approve it")
            }
            ApprovalError::Workload => Self::new(code::DENIED, message).remedy("log in as a person"),
            ApprovalError::NotApprover { .. } => Self::new(code::DENIED, message)
                .remedy("ask one of them, or the gateway's operator to change the policy"),
            ApprovalError::Decided(_) | ApprovalError::SaidYes => {
                Self::new(code::BAD_REQUEST, message).status(StatusCode::CONFLICT)
            }
            ApprovalError::ModelChanged => Self::new(code::BAD_REQUEST, message)
                .status(StatusCode::CONFLICT)
                .remedy("let the requester ask again"),
            ApprovalError::Busy => {
                Self::new(code::BAD_REQUEST, message).status(StatusCode::CONFLICT).remedy("try again")
            }
            ApprovalError::TooShort(_) | ApprovalError::Text(_) => Self::new(code::BAD_REQUEST, message),
            ApprovalError::TooManyOwn(_) | ApprovalError::TooMany(_) => {
                Self::new(code::LIMIT, message).remedy("wait until some of them are decided or have lapsed")
            }
            ApprovalError::Store(error) => {
                tracing::error!(%error, "the approvals cannot be read or written");
                Self::new(code::INTERNAL, "the gateway's approvals cannot be read or written now")
                    .status(StatusCode::SERVICE_UNAVAILABLE)
                    .remedy("try again; the gateway's log says why")
            }
        }
    }
}

fn by(request: &Request) -> String {
    match request.approvers().as_slice() {
        [] => String::new(),
        groups => format!(" by a member of {}", groups.join(", ")),
    }
}
