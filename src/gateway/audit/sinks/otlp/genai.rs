//! What an exchange is in the words of the GenAI semantic conventions: its operation and its provider, by the path it took.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::value::text;
use crate::{evidence::event::Event, gateway::audit::sinks::GenAi};

/// An exchange with a generative model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// `gen_ai.operation.name`
    pub(super) operation: &'static str,
    /// `gen_ai.provider.name`, before 1.37 `gen_ai.system`: whose interface it is; the model behind it may be another's.
    pub(super) provider: &'static str,
}

impl Work {
    /// What the event's path says; `None` where it is of no generative model that is known.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let path = event.request.as_ref()?.path.trim_end_matches('/');
        let method = path.rsplit_once(':').map_or("", |(_, method)| method);
        let google = if path.contains("/projects/") { "gcp.vertex_ai" } else { "gcp.gemini" };
        let openai = if path.contains("/openai/deployments/") { "azure.ai.openai" } else { "openai" };
        let (operation, provider) = match method {
            "generateContent" | "streamGenerateContent" => ("generate_content", google),
            "embedContent" | "batchEmbedContents" => ("embeddings", google),
            "rawPredict" | "streamRawPredict" => ("chat", "gcp.vertex_ai"),
            _ if path.ends_with("/api/chat") => ("chat", "ollama"),
            _ if path.ends_with("/api/generate") => ("text_completion", "ollama"),
            _ if path.ends_with("/api/embed") || path.ends_with("/api/embeddings") => {
                ("embeddings", "ollama")
            }
            _ if path.ends_with("/v1/messages") => ("chat", "anthropic"),
            _ if path.starts_with("/model/") && path.ends_with("/converse") => ("chat", "aws.bedrock"),
            _ if path.starts_with("/model/") && path.ends_with("/converse-stream") => ("chat", "aws.bedrock"),
            _ if path.ends_with("/chat/completions") || path.ends_with("/responses") => ("chat", openai),
            _ if path.ends_with("/completions") => ("text_completion", openai),
            _ if path.ends_with("/embeddings") => ("embeddings", openai),
            _ => return None,
        };
        Some(Self { operation, provider })
    }

    /// Its attributes in the generation asked for.
    pub(super) fn attributes(self, genai: GenAi) -> Vec<KeyValue> {
        let named = |(key, value): (&'static str, &'static str)| text(key, value);
        self.names(genai).into_iter().map(named).collect()
    }

    /// [`Self::attributes`] before they are OTLP's.
    pub(super) fn names(self, genai: GenAi) -> Vec<(&'static str, &'static str)> {
        let mut names = vec![("gen_ai.operation.name", self.operation)];
        if matches!(genai, GenAi::Latest | GenAi::Both) {
            names.push(("gen_ai.provider.name", self.provider));
        }
        if matches!(genai, GenAi::V1_36 | GenAi::Both) {
            names.push(("gen_ai.system", self.provider));
        }
        names
    }
}

/// The conventions' version that the names are of.
pub(super) fn schema_url(genai: GenAi) -> &'static str {
    match genai {
        GenAi::Latest | GenAi::Both => "https://opentelemetry.io/schemas/1.37.0",
        GenAi::V1_36 => "https://opentelemetry.io/schemas/1.36.0",
    }
}

/// `error.type`: the status where it is one, or how else the exchange failed.
pub(super) fn error(event: &Event) -> Option<String> {
    let response = event.response.as_ref()?;
    match response.outcome.as_str() {
        _ if response.status >= 400 => Some(response.status.to_string()),
        "complete" | "" => None,
        outcome => Some(outcome.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{Request, Response};

    #[test]
    fn a_path_says_what_is_done_and_in_whose_words() {
        for (path, wanted) in [
            ("/v1/chat/completions", Some(("chat", "openai"))),
            ("/v1/responses", Some(("chat", "openai"))),
            ("/v1/completions", Some(("text_completion", "openai"))),
            ("/v1/embeddings/", Some(("embeddings", "openai"))),
            ("/openai/deployments/gpt/chat/completions", Some(("chat", "azure.ai.openai"))),
            ("/v1/messages", Some(("chat", "anthropic"))),
            ("/api/chat", Some(("chat", "ollama"))),
            ("/api/embeddings", Some(("embeddings", "ollama"))),
            ("/v1beta/models/gemini-pro:streamGenerateContent", Some(("generate_content", "gcp.gemini"))),
            (
                "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
                Some(("generate_content", "gcp.vertex_ai")),
            ),
            ("/model/anthropic.claude/converse-stream", Some(("chat", "aws.bedrock"))),
            ("/v2/models/fraud/infer", None),
            ("/", None),
        ] {
            let request = Some(Request { path: path.to_owned(), ..Request::default() });
            let found = Work::of(&Event { request, ..Event::default() });
            assert_eq!(found.map(|work| (work.operation, work.provider)), wanted, "{path}");
        }
    }

    #[test]
    fn one_switch_says_which_generation_of_names() {
        let work = Work { operation: "chat", provider: "openai" };
        let keys = |genai| work.names(genai).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(GenAi::Latest), ["gen_ai.operation.name", "gen_ai.provider.name"]);
        assert_eq!(keys(GenAi::V1_36), ["gen_ai.operation.name", "gen_ai.system"]);
        assert_eq!(keys(GenAi::Both), ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.system"]);
    }

    #[test]
    fn an_error_is_the_status_or_the_outcome() {
        for (status, outcome, wanted) in [
            (200, "complete", None),
            (429, "complete", Some("429")),
            (200, "upstream_cut", Some("upstream_cut")),
            (0, "interrupted", Some("interrupted")),
        ] {
            let response = Some(Response { status, outcome: outcome.to_owned(), ..Response::default() });
            assert_eq!(error(&Event { response, ..Event::default() }).as_deref(), wanted);
        }
    }
}
