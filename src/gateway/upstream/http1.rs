//! An HTTP/1.1 connection to a model's server, driven by whoever uses it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use hyper::{client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use super::{
    Answered, Body, Meter, Outgoing, UpstreamError,
    connect::Dialled,
    pool::Pool,
    socket::Socket,
    unsent::{Unsent, broke, unsent},
};
use crate::{
    evidence::event::Leg,
    gateway::framing::{Answers, Guard, MAX_HEAD},
};

/// Schemes that prove who calls once for a whole connection instead of for each request (RFC 4559 §6).
const OF_THE_CONNECTION: [&str; 2] = ["NTLM", "Negotiate"];

/// An HTTP/1.1 connection together with the machine that drives it.
pub(super) struct Http1 {
    sender: http1::SendRequest<Outgoing>,
    /// `None` once the connection has ended.
    driver: Option<http1::Connection<TokioIo<Guard<Socket>>, Outgoing>>,
    answers: Arc<Answers>,
    leg: Arc<Leg>,
    made: Instant,
    home: Id,
    /// Somebody may have proven on it who they are: nobody else may use it.
    personal: bool,
    pub(super) fresh: bool,
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_header_size(MAX_HEAD).max_buf_size(2 * MAX_HEAD);
    builder
}

impl Http1 {
    pub(super) async fn open(dialled: Dialled) -> Result<Self, UpstreamError> {
        let answers = Arc::default();
        let (sender, driver) = builder()
            .handshake(TokioIo::new(Guard::answers(dialled.socket, &answers)))
            .await
            .map_err(|e| UpstreamError::Unreachable { cause: e.to_string() })?;
        let made = Instant::now();
        Ok(Self {
            sender,
            driver: Some(driver),
            answers,
            leg: dialled.leg,
            made,
            home: Handle::current().id(),
            personal: false,
            fresh: true,
        })
    }

    /// When it was made.
    pub(super) fn made(&self) -> Instant {
        self.made
    }

    /// The runtime that hears of its bytes.
    pub(super) fn home(&self) -> Id {
        self.home
    }

    /// Whether it belongs to one caller.
    pub(super) fn personal(&self) -> bool {
        self.personal
    }

    /// Moves bytes as far as they go.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            // Dropped at once: only then do a request it still holds and the body it feeds learn that it has ended.
            self.driver = None;
        }
    }

    /// Whether it can take a request now.
    pub(super) fn ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: Request<Outgoing>,
        pool: &Arc<Pool>,
        meter: Arc<Meter>,
    ) -> Result<Answered, Unsent> {
        self.personal = personal(request.headers(), header::AUTHORIZATION);
        self.answers.expect(request.method(), false);
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await;
        let (head, incoming) = match answered {
            Ok(response) => response.into_parts(),
            Err(error) => return Err(unsent(error, &meter)),
        };
        self.personal |= personal(&head.headers, header::WWW_AUTHENTICATE);
        let leg = Arc::clone(&self.leg);
        let mut body = Body::alone(incoming, self, Arc::clone(pool), meter);
        // Nobody asks an empty body for its end, so its connection goes back now.
        poll_fn(|cx| {
            body.release_at_end(cx);
            Poll::Ready(())
        })
        .await;
        Ok(Answered { head, body, leg })
    }
}

/// Asks the server to leave HTTP, on a connection that is used for nothing else.
pub(super) async fn ask_to_leave(
    dialled: Dialled,
    request: Request<Outgoing>,
) -> Result<(Answered, Option<OnUpgrade>), Unsent> {
    if dialled.h2 {
        return Err(Unsent::Failed(UpstreamError::NoUpgrade));
    }
    let meter = Arc::clone(request.body().meter());
    let answers = Arc::<Answers>::default();
    answers.expect(request.method(), true);
    let guard = Guard::answers(dialled.socket, &answers);
    let (mut sender, driver) = match builder().handshake(TokioIo::new(guard)).await {
        Ok(made) => made,
        Err(error) => return Err(Unsent::Never(request.into(), broke(&error, &meter))),
    };
    // Ends with the upgraded bytes, or with the answer when the server does not switch.
    tokio::spawn(driver.with_upgrades());
    let mut response = sender.try_send_request(request).await.map_err(|error| unsent(error, &meter))?;
    let server =
        (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut response));
    let (head, incoming) = response.into_parts();
    Ok((Answered { head, body: Body::loose(incoming), leg: dialled.leg }, server))
}

/// Whether a header names a scheme by which a connection, not a request, is somebody's.
pub(super) fn personal(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        // A comma also stands between parameters; what follows one of those is no scheme of these.
        value
            .split(',')
            .filter_map(|part| part.split_whitespace().next())
            .any(|scheme| OF_THE_CONNECTION.iter().any(|personal| scheme.eq_ignore_ascii_case(personal)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_of_the_connection_are_found_among_others() {
        for (value, found) in [
            ("NTLM", true),
            ("ntlm TlRMTVNTUAAC", true),
            ("Negotiate oYG2", true),
            ("Basic realm=\"x\", Negotiate", true),
            ("Bearer realm=\"NTLM\"", false),
            ("Basic realm=\"x\"", false),
            ("Negotiated", false),
        ] {
            let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, value.parse().unwrap())]);
            assert_eq!(personal(&headers, header::WWW_AUTHENTICATE), found, "{value}");
            assert!(!personal(&headers, header::AUTHORIZATION));
        }
    }
}
