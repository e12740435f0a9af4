//! The wires: how a question is read and an answer written, one file each.
//! `server` routes to a `Form`, `generate` uses it. A wire must not know keys, errors' words (that is `brand`) or
//! behaviours.

mod anthropic_messages;
mod gemini_generate_content;
mod openai_chat;
mod openai_images;
mod openai_responses;
mod schema;

use poem::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::{
    anthropic_messages::ANTHROPIC_MESSAGES, gemini_generate_content::GEMINI_GENERATE_CONTENT, openai_chat::OPENAI_CHAT,
    openai_images::OPENAI_IMAGES, openai_responses::OPENAI_RESPONSES,
};
use crate::{
    brand::Brand,
    fault::Fault,
    reply::{Asked, Reply},
};

/// Which kind of call a record of the log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// `POST …/chat/completions`.
    OpenaiChat,
    /// `POST …/responses`.
    OpenaiResponses,
    /// `POST …/messages`.
    AnthropicMessages,
    /// `POST …/models/{model}:generateContent`.
    GeminiGenerateContent,
    /// `POST …/images/generations`.
    OpenaiImages,
    /// Exa's `POST /exa/search`.
    ExaSearch,
    /// Tavily's `POST /tavily/search`.
    TavilySearch,
    /// Serper's `POST /serper/search`.
    SerperSearch,
    /// A page of the web that the searches find, or `/robots.txt`.
    Page,
    /// A call that tests a key: a list of models, OpenRouter's `GET …/key`, an account at a search.
    KeyTest,
    /// A client followed the redirect of the behaviour `redirect`.
    RedirectTarget,
}

impl Wire {
    /// OpenAI's SDKs send `Idempotency-Key`.
    pub(crate) fn is_openai(self) -> bool {
        matches!(self, Self::OpenaiChat | Self::OpenaiResponses | Self::OpenaiImages)
    }
}

/// How one wire reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) wire: Wire,
    pub(crate) read: fn(&Question<'_>) -> Result<Asked, Fault>,
    pub(crate) answer: fn(&Reply, Brand) -> Value,
    /// An answer of status 200 that says that the call failed; without one, it is the brand's error body.
    pub(crate) failed: Option<fn(&Reply) -> Value>,
}

/// A request, parsed as JSON but not yet understood.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// From the path or the body.
    pub(crate) model: Option<&'a str>,
    /// The path asks for a stream.
    pub(crate) stream: bool,
    pub(crate) body: &'a Value,
}

impl Question<'_> {
    fn model(&self) -> Result<String, Fault> {
        let model = self.model.filter(|model| !model.is_empty());
        model.map(str::to_owned).ok_or_else(|| Fault::invalid("you must provide a model parameter", "model"))
    }

    fn asks_for_a_stream(&self) -> bool {
        self.stream || self.body["stream"].as_bool().unwrap_or_default()
    }

    /// The question of these messages, each a role and a text.
    fn asked(
        &self,
        messages: Vec<(Option<&str>, String)>,
        before: Option<String>,
        schema: Option<Value>,
    ) -> Result<Asked, Fault> {
        let by_user = messages.iter().filter(|(role, _)| matches!(role, None | Some("user")));
        Ok(Asked {
            model: self.model()?,
            questions: by_user.map(|(_, text)| text.clone()).collect(),
            texts: before.into_iter().chain(messages.into_iter().map(|(_, text)| text)).collect(),
            schema,
            picture: None,
            stream: self.asks_for_a_stream(),
        })
    }
}

/// The text of a message's content: a string, or a list of parts of which those with a `text` count.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// The non-empty list at `field`.
fn list<'a>(body: &'a Value, field: &'static str) -> Result<&'a Vec<Value>, Fault> {
    match &body[field] {
        Value::Null => Err(Fault::invalid(format!("Missing required parameter: '{field}'."), field)),
        Value::Array(items) if items.is_empty() => Err(Fault::invalid(
            format!(
                "Invalid '{field}': empty array. Expected an array with minimum length 1, but got an empty array instead."
            ),
            field,
        )),
        Value::Array(items) => Ok(items),
        _ => Err(Fault::invalid(format!("Invalid type for '{field}': expected an array of objects."), field)),
    }
}
