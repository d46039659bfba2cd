//! A yes or a no from the page of a request.

use std::time::Duration;

use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    Console, FIRST, approvals,
    shape::{self, said},
    visit::{self, Form},
};
use crate::gateway::approval::{ApprovalError, Decider};

/// `POST /console/approvals/{id}`: the page again with what came of it. A reload of that page decides nothing twice.
pub(super) async fn decide(
    State(console): State<Console>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let page = format!("{FIRST}/{id}");
    let visitor = match visit::visitor(&console, &head.headers, &page).await {
        Ok(visitor) => visitor,
        Err(answer) => return answer,
    };
    let form = match Form::read(&console, &visitor, &head.headers, body).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    let decider = approvals::decider(&visitor.caller, &head.extensions);
    match act(&console, decider, &id, &form).await {
        Ok(()) => Redirect::to(&page).into_response(),
        Err(ApprovalError::Unknown) => approvals::nothing(),
        Err(ApprovalError::Store(error)) => approvals::unreadable(&error),
        Err(error) => {
            let (status, why) = explain(&console, decider, &id, &error).await;
            approvals::show(&console, &visitor, &head.extensions, &id, status, Some(why)).await
        }
    }
}

async fn act(console: &Console, decider: Decider<'_>, id: &str, form: &Form) -> Result<(), ApprovalError> {
    // Whoever may not see it learns nothing by trying.
    let request = approvals::visible(console, decider, id).await?.ok_or(ApprovalError::Unknown)?;
    let comment = form.one("comment");
    match form.one("decision") {
        Some("approve") => {
            let lasts = form.one("lasts").and_then(|text| text.parse().ok()).map(Duration::from_secs);
            if lasts.is_none() && form.names("lasts") {
                // Not from our page, and never to be taken for the whole time.
                return Err(ApprovalError::Busy);
            }
            // The whole time is no vote for a time.
            let shorter = lasts.filter(|lasts| *lasts < shape::longest(&request));
            console.approvals.approve(id, decider, shorter, comment).await.map(|_| ())
        }
        Some("deny") => console.approvals.deny(id, decider, comment).await.map(|_| ()),
        // Nobody's browser sends that from our page.
        _ => Err(ApprovalError::Busy),
    }
}

/// What went wrong, for people.
async fn explain(
    console: &Console,
    decider: Decider<'_>,
    id: &str,
    error: &ApprovalError,
) -> (StatusCode, String) {
    match error {
        ApprovalError::Own => {
            (StatusCode::FORBIDDEN, "You asked for this yourself: somebody else decides it.".to_owned())
        }
        ApprovalError::Decided(word) => {
            let request = approvals::visible(console, decider, id).await.ok().flatten();
            let how =
                request.map_or_else(|| (*word).to_owned(), |request| said(&request, console.clock.now()));
            (StatusCode::CONFLICT, format!("You came too late: {how}."))
        }
        ApprovalError::SaidYes => {
            (StatusCode::CONFLICT, "You have said yes already: it takes another person now.".to_owned())
        }
        ApprovalError::NotApprover { .. } | ApprovalError::Workload => {
            (StatusCode::FORBIDDEN, format!("Nothing was decided: {error}."))
        }
        ApprovalError::ModelChanged => (
            StatusCode::CONFLICT,
            "Nothing was decided: the model has been changed since, so it must be asked for anew.".to_owned(),
        ),
        ApprovalError::Busy => (StatusCode::CONFLICT, "Nothing was decided; try once more.".to_owned()),
        _ => (StatusCode::BAD_REQUEST, format!("Nothing was decided: {error}.")),
    }
}
