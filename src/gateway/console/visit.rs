//! Who is at the browser: sent to sign in, back from it, signed out; and whether a form is theirs.

use axum::{
    body::Body,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};

use super::{Console, FIRST, shape};
use crate::{
    gateway::identity::{Onward, Visitor, read_form},
    wire::Refusal,
};

/// The longest form field, in bytes.
const MAX_FIELD: usize = 4 * 1024;

/// Whoever is signed in, or the answer that sends the browser to sign in and back to `page`.
pub(super) async fn visitor(console: &Console, headers: &HeaderMap, page: &str) -> Result<Visitor, Response> {
    match console.identities.visitor(headers).await {
        Ok(Some(visitor)) => Ok(visitor),
        Ok(None) => Err(match console.identities.begin_visit(page) {
            Some(onward) => go(&onward),
            None => shape::failed("The sign-in could not be begun."),
        }),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// `GET /console/callback`: back from signing in.
pub(super) async fn callback(
    State(console): State<Console>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match console.identities.finish_visit(&headers, &query.unwrap_or_default()).await {
        Ok(onward) => go(&onward),
        Err(why) => shape::plain(StatusCode::BAD_REQUEST, "Not signed in", &why, FIRST, "Sign in again"),
    }
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(State(console): State<Console>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // Without a session there is nothing to protect and nothing to do.
    let visitor = match console.identities.visitor(&head.headers).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return Redirect::to(SIGNED_OUT).into_response(),
        Err(refusal) => return refused(&refusal),
    };
    if let Err(answer) = Form::read(&console, &visitor, &head.headers, body).await {
        return answer;
    }
    match console.identities.end_visit(&head.headers).await {
        Ok(cookie) => {
            let cookies = cookie.into_iter().map(|cookie| (header::SET_COOKIE, cookie)).collect::<Vec<_>>();
            (AppendHeaders(cookies), Redirect::to(SIGNED_OUT)).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

/// `GET /console/signed-out`.
pub(super) async fn signed_out() -> Response {
    let why = "You are signed out of the gateway's pages in this browser.";
    shape::plain(StatusCode::OK, "Signed out", why, FIRST, "Sign in")
}

const SIGNED_OUT: &str = "/console/signed-out";

/// A form of one of the visitor's own pages.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form, if the visitor's browser sent it from one of our pages: by what the browser says (`Origin`, `Sec-Fetch-Site`) and
    /// by the token that only those pages know.
    pub(super) async fn read(
        console: &Console,
        visitor: &Visitor,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Response> {
        let said = |name: &str, good: &str| {
            headers.get_all(name).iter().all(|value| value.as_bytes() == good.as_bytes())
        };
        let ours = said("origin", console.identities.issuer()) && said("sec-fetch-site", "same-origin");
        if !ours {
            return Err(foreign());
        }
        let bytes = read_form(headers, body).await.map_err(|why| {
            shape::plain(
                StatusCode::BAD_REQUEST,
                "Not done",
                &format!("The form cannot be read: {why}."),
                FIRST,
                BACK,
            )
        })?;
        let fields: Vec<(String, String)> =
            url::form_urlencoded::parse(&bytes).into_owned().take(16).collect();
        let form = Self(fields);
        if !form.one("form").is_some_and(|token| visitor.sent(token)) {
            return Err(foreign());
        }
        Ok(form)
    }

    /// Whether a field of that name is there at all.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// A field that stands there once and is not empty.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str());
        let first = values.next()?;
        (values.next().is_none() && !first.is_empty() && first.len() <= MAX_FIELD).then_some(first)
    }
}

const BACK: &str = "Back to the approvals";

fn foreign() -> Response {
    let why = "This form was not sent from one of your own pages of this gateway. Nothing was changed.";
    shape::plain(StatusCode::FORBIDDEN, "Not done", why, FIRST, BACK)
}

/// The gateway cannot say who it is.
pub(super) fn refused(refusal: &Refusal) -> Response {
    tracing::warn!(code = refusal.code, why = refusal.message, "a page could not be shown");
    shape::failed(&format!("It is not known now who you are: {}.", refusal.message))
}

fn go(onward: &Onward) -> Response {
    let cookies: Vec<_> = onward.cookies.iter().map(|cookie| (header::SET_COOKIE, cookie.clone())).collect();
    (AppendHeaders(cookies), Redirect::to(&onward.to)).into_response()
}
