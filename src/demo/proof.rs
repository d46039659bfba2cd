//! Whether the answer really came through the tunnel: what the model's server saw, and what the audit log says.

use crate::evidence::event::{Event, Leg};

use super::{answers, app::Answer, model::Seen};

/// Checks one exchange from both ends; each sentence of the result is something that did not hold.
pub(super) fn doubts(question: &str, answer: &Answer, seen: &[Seen], event: &Event) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut doubt = |holds: bool, otherwise: &str| {
        if !holds {
            doubts.push(otherwise.to_owned());
        }
    };
    doubt(answer.complete, "the answer was not complete");
    doubt(answer.text == answers::to(question), "the answer is not what the model says");
    doubt(answer.pieces > 1, "the answer did not come in pieces");
    let served: Vec<_> = seen.iter().filter(|request| request.path == "/v1/chat/completions").collect();
    doubt(!served.is_empty(), "the model's server saw no request");
    doubt(served.iter().all(|request| request.with_key), "a request came without the gateway's key");
    let evidence = event.evidence.clone().unwrap_or_default();
    let client = evidence.client.unwrap_or_default();
    let upstream = evidence.upstream.unwrap_or_default();
    doubt(encrypted(&client), "the audit event does not say how the laptop's leg was encrypted");
    doubt(encrypted(&upstream), "the audit event does not say how the model's leg was encrypted");
    doubt(upstream.verified == Some(true), "the model's certificate was not verified");
    doubt(
        served.iter().any(|request| {
            (&request.handshake.tls, &request.handshake.cipher, &request.handshake.group)
                == (&upstream.tls, &upstream.cipher, &upstream.group)
        }),
        "the audit event and the model's server disagree about the encryption between them",
    );
    doubt(
        event
            .response
            .as_ref()
            .is_some_and(|response| response.outcome == "complete" && response.status == 200),
        "the audit event does not say that the exchange was complete",
    );
    doubts
}

fn encrypted(leg: &Leg) -> bool {
    leg.tls == "TLSv1.3" && !leg.cipher.is_empty() && !leg.group.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::event::{Evidence, Response},
        tls::Handshake,
    };

    const QUESTION: &str = "Who can read this?";

    fn proven() -> (Answer, Vec<Seen>, Event) {
        let answer = Answer { text: answers::to(QUESTION), pieces: 5, complete: true };
        let handshake = Handshake::of_quic();
        let leg = Leg {
            transport: "tcp".to_owned(),
            tls: handshake.tls.clone(),
            cipher: handshake.cipher.clone(),
            group: handshake.group.clone(),
            verified: Some(true),
            ..Leg::default()
        };
        let seen = vec![Seen { path: "/v1/chat/completions".to_owned(), with_key: true, handshake }];
        let event = Event {
            evidence: Some(Evidence { client: Some(leg.clone()), upstream: Some(leg) }),
            response: Some(Response { status: 200, outcome: "complete".to_owned(), ..Response::default() }),
            ..Event::default()
        };
        (answer, seen, event)
    }

    #[test]
    fn an_answer_that_came_through_leaves_no_doubt() {
        let (answer, seen, event) = proven();
        assert!(doubts(QUESTION, &answer, &seen, &event).is_empty());
    }

    #[test]
    fn an_answer_from_elsewhere_is_doubted() {
        let (answer, seen, event) = proven();
        assert!(!doubts(QUESTION, &answer, &[], &event).is_empty(), "the model was never asked");
        assert!(!doubts("another?", &answer, &seen, &event).is_empty());
        assert!(!doubts(QUESTION, &answer, &seen, &Event::default()).is_empty(), "nothing was recorded");
        let keyless: Vec<_> = seen.iter().map(|seen| Seen { with_key: false, ..seen.clone() }).collect();
        assert!(!doubts(QUESTION, &answer, &keyless, &event).is_empty());
    }
}
