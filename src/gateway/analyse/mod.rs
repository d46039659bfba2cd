//! Asks an external analyser, by the HTTP API of Presidio, where names and addresses stand in a sentence.

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use http::{Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
    time::timeout,
};

use super::{
    mask::{Analysis, LONGEST_SENTENCE, Names, NoAnswer, Span},
    outbound::Outbound,
};

/// Sentences of one model that are looked at at once; more wait, and their wait counts.
const AT_ONCE: usize = 32;

/// Why a text was not analysed. Holds nothing of the text.
#[derive(Debug, thiserror::Error)]
pub enum AnalyserError {
    /// It cannot be asked at all.
    #[error("the analyser at {url} cannot be asked: {cause}")]
    Setup {
        /// Its address.
        url: String,
        /// Why.
        cause: String,
    },
    /// The text is longer than [`LONGEST_SENTENCE`].
    #[error("a text of {0} bytes is too long for an analyser")]
    TooLong(usize),
    /// It did not answer in time.
    #[error("the analyser at {url} gave no answer within {within:?}")]
    Slow {
        /// Its address.
        url: String,
        /// How long it may take.
        within: Duration,
    },
    /// It could not be reached, or broke off.
    #[error("the analyser gave no answer: {0}")]
    Unreachable(String),
    /// It answered with an error; Presidio does so when it knows none of the entities, or not the language.
    #[error("the analyser at {url} answered {status}")]
    Refused {
        /// Its address.
        url: String,
        /// The HTTP status.
        status: StatusCode,
    },
    /// It answered something else than spans of the text.
    #[error("the analyser at {url} answered something else than expected: {cause}")]
    Garbage {
        /// Its address.
        url: String,
        /// What.
        cause: &'static str,
    },
}

/// The analyser of a model.
pub struct Analyser {
    outbound: Outbound,
    endpoint: String,
    config: Analysis,
    room: Semaphore,
}

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    text: &'a str,
    language: &'a str,
    entities: &'a [String],
    score_threshold: f64,
}

/// One thing found; offsets count characters.
#[derive(Deserialize)]
struct Found {
    entity_type: String,
    start: usize,
    end: usize,
    score: f64,
}

impl Analyser {
    /// Prepares; asks nobody.
    ///
    /// # Errors
    /// When the address is none that may be asked, or the operating system's certificates cannot be read.
    pub fn new(config: &Analysis) -> Result<Self, AnalyserError> {
        let endpoint = format!("{}/analyze", config.url.as_str().trim_end_matches('/'));
        let outbound =
            Outbound::new(None).map_err(|cause| AnalyserError::Setup { url: endpoint.clone(), cause })?;
        Ok(Self { outbound, endpoint, config: config.clone(), room: Semaphore::new(AT_ONCE) })
    }

    /// What stands where in `text`, in order; what it found over something else is one with it.
    ///
    /// # Errors
    /// When there is no answer in time, or none that can be understood: the text must go to nobody then.
    pub async fn analyse(&self, text: &str) -> Result<Vec<Span>, AnalyserError> {
        if text.len() > LONGEST_SENTENCE {
            return Err(AnalyserError::TooLong(text.len()));
        }
        let Analysis { entities, score, language, timeout: within, .. } = &self.config;
        let question = Question { text, language, entities, score_threshold: *score };
        let body = serde_json::to_vec(&question).map_err(|_| self.garbage("the question"))?;
        let request = Request::post(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body)
            .map_err(|_| self.garbage("the address"))?;
        let answer = timeout(*within, async {
            let _room = self.room.acquire().await;
            self.outbound.send(request).await
        });
        let answer = answer
            .await
            .map_err(|_| AnalyserError::Slow { url: self.endpoint.clone(), within: *within })?
            .map_err(|error| AnalyserError::Unreachable(error.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(AnalyserError::Refused { url: self.endpoint.clone(), status: answer.status() });
        }
        let found =
            serde_json::from_slice(answer.body()).map_err(|_| self.garbage("no list of what it found"))?;
        self.spans(text, found)
    }

    fn spans(&self, text: &str, mut found: Vec<Found>) -> Result<Vec<Span>, AnalyserError> {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        // Of two that begin together the longer, and then the surer, gives its name.
        found.sort_by(|a, b| {
            (a.start, b.end).cmp(&(b.start, a.end)).then_with(|| b.score.total_cmp(&a.score))
        });
        let mut spans: Vec<Span> = Vec::new();
        for Found { entity_type, start, end, score } in found {
            let (Some(start), Some(end)) = (places.get(start), places.get(end)) else {
                return Err(self.garbage("a place outside the text"));
            };
            if start >= end {
                return Err(self.garbage("a place without extent"));
            }
            if !self.config.entities.contains(&entity_type) {
                return Err(self.garbage("an entity that it was not asked for"));
            }
            if score < self.config.score {
                continue;
            }
            match spans.last_mut() {
                Some(last) if *start < last.range.end => last.range.end = last.range.end.max(*end),
                _ => spans.push(Span { range: *start..*end, entity: entity_type }),
            }
        }
        Ok(spans)
    }

    fn garbage(&self, cause: &'static str) -> AnalyserError {
        AnalyserError::Garbage { url: self.endpoint.clone(), cause }
    }
}

/// The analyser for those who mask as they go and cannot wait otherwise than by blocking.
pub struct Waiting(Arc<Analyser>);

impl Waiting {
    /// Asks this analyser.
    pub fn new(analyser: Analyser) -> Self {
        Self(Arc::new(analyser))
    }
}

impl Names for Waiting {
    fn find(&self, text: &str) -> Result<Vec<Span>, NoAnswer> {
        let Ok(runtime) = Handle::try_current() else {
            tracing::error!("an answer is not passed on: nobody can ask for its names here");
            return Err(NoAnswer);
        };
        let (analyser, text) = (Arc::clone(&self.0), text.to_owned());
        let (tell, told) = mpsc::sync_channel(1);
        // The analyser's own bound is what counts; this one is for a runtime that does nothing meanwhile.
        let patience = analyser.config.timeout.saturating_mul(2);
        runtime.spawn(async move {
            // Who asked may have given up.
            let _ = tell.send(analyser.analyse(&text).await);
        });
        let wait = || told.recv_timeout(patience);
        // Other tasks of this thread go on elsewhere while it waits.
        let answer = match runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => block_in_place(wait),
            _ => wait(),
        };
        match answer {
            Ok(Ok(spans)) => Ok(spans),
            Ok(Err(error)) => {
                tracing::error!(%error, "an answer is not passed on: names in it cannot be masked");
                Err(NoAnswer)
            }
            Err(error) => {
                tracing::error!(%error, "an answer is not passed on: its names could not be asked for");
                Err(NoAnswer)
            }
        }
    }
}
