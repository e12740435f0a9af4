//! THE provider list: one row each. Adding a provider that speaks a known wire format is one row here.
//! Facts: each provider's API reference, read in November 2026.

use serde::{Deserialize, Serialize};

/// The wire format of a provider: one file in `outbound::providers` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Wire {
    /// OpenAI's chat completions, and all who copied them.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    AnthropicMessages,
    /// Google's generateContent.
    GeminiGenerateContent,
    /// OpenAI's images.
    OpenaiImages,
    /// Google's generateContent, asked for an image.
    GeminiImages,
    /// Exa's search of the web.
    ExaSearch,
    /// Tavily's search of the web.
    TavilySearch,
    /// Serper's search by Google.
    SerperSearch,
}

impl Wire {
    /// Whether it searches the web: its one model is [`SEARCH_MODEL`], the last message is the query, and the answer is
    /// [`SearchResults`](crate::web::SearchResults) as text.
    pub const fn is_search(self) -> bool {
        matches!(self, Self::ExaSearch | Self::TavilySearch | Self::SerperSearch)
    }
}

/// The name under which a search stands where others name a model: `tavily/search`.
pub const SEARCH_MODEL: &str = "search";

/// Where the base URL of a provider comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseUrl {
    /// The provider's own, unless the operator sets another.
    Fixed(&'static str),
    /// Each provider key brings its own; the operator's allow-list decides.
    PerKey,
    /// Only where the operator sets it (the sandbox).
    Operator,
}

/// How a wire's details differ from the format's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The name of the field that limits output tokens (`openai_chat` only).
    pub max_tokens_field: &'static str,
    /// Reasoning tokens come on top of the completion tokens instead of inside them (xAI).
    pub reasoning_on_top: bool,
    /// The cheap call, relative to the base URL, that shows whether a key is accepted.
    pub key_test_path: &'static str,
    /// The JSON that the cheap call posts; it is a GET where `None`.
    pub key_test_body: Option<&'static str>,
    /// Whether the answer's `usage.cost` is a price in USD (OpenRouter).
    pub reports_cost: bool,
    /// The header that carries the attempt's id, where the provider documents one.
    pub attempt_header: Option<&'static str>,
}

const USUAL: Quirks = Quirks {
    max_tokens_field: "max_tokens",
    reasoning_on_top: false,
    key_test_path: "models",
    key_test_body: None,
    reports_cost: false,
    attempt_header: None,
};

/// One provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its name in URLs and model strings: `openai` in `openai/gpt-5.5`.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it speaks.
    pub wire: Wire,
    /// What it speaks where images are wanted; `None` where it is not asked for any.
    pub image_wire: Option<Wire>,
    /// Where it is.
    pub base_url: BaseUrl,
    /// What its keys usually look like; a hint for people, never a check.
    pub key_hint: &'static str,
    /// Where people get a key.
    pub keys_url: &'static str,
    /// Whether it takes a JSON schema that the answer must fit, by its documentation with all of its current text models: where
    /// only some take one, the others refuse the whole call.
    pub takes_schema: bool,
    /// How it differs.
    pub quirks: Quirks,
}

/// All providers.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        slug: "openai",
        name: "OpenAI",
        wire: Wire::OpenaiResponses,
        image_wire: Some(Wire::OpenaiImages),
        base_url: BaseUrl::Fixed("https://api.openai.com/v1"),
        key_hint: "sk-proj-…",
        keys_url: "https://platform.openai.com/api-keys",
        takes_schema: true,
        quirks: Quirks { attempt_header: Some("x-client-request-id"), ..USUAL },
    },
    Provider {
        slug: "anthropic",
        name: "Anthropic",
        wire: Wire::AnthropicMessages,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.anthropic.com/v1"),
        key_hint: "sk-ant-…",
        keys_url: "https://platform.claude.com/settings/keys",
        takes_schema: true,
        quirks: USUAL,
    },
    Provider {
        slug: "google",
        name: "Google Gemini",
        wire: Wire::GeminiGenerateContent,
        image_wire: Some(Wire::GeminiImages),
        base_url: BaseUrl::Fixed("https://generativelanguage.googleapis.com/v1beta"),
        key_hint: "AQ.… or AIza…",
        keys_url: "https://aistudio.google.com/apikey",
        takes_schema: true,
        quirks: Quirks { key_test_path: "models?pageSize=1", ..USUAL },
    },
    Provider {
        slug: "openrouter",
        name: "OpenRouter",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://openrouter.ai/api/v1"),
        key_hint: "sk-or-v1-…",
        keys_url: "https://openrouter.ai/settings/keys",
        takes_schema: false,
        quirks: Quirks { key_test_path: "key", reports_cost: true, ..USUAL },
    },
    Provider {
        slug: "mistral",
        name: "Mistral",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.mistral.ai/v1"),
        key_hint: "32 letters and digits",
        keys_url: "https://console.mistral.ai/api-keys",
        takes_schema: true,
        quirks: USUAL,
    },
    Provider {
        slug: "groq",
        name: "Groq",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.groq.com/openai/v1"),
        key_hint: "gsk_…",
        keys_url: "https://console.groq.com/keys",
        takes_schema: false,
        quirks: Quirks { max_tokens_field: "max_completion_tokens", ..USUAL },
    },
    Provider {
        slug: "deepseek",
        name: "DeepSeek",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.deepseek.com"),
        key_hint: "sk-…",
        keys_url: "https://platform.deepseek.com/api_keys",
        takes_schema: false,
        quirks: USUAL,
    },
    Provider {
        slug: "xai",
        name: "xAI",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.x.ai/v1"),
        key_hint: "xai-…",
        keys_url: "https://console.x.ai",
        takes_schema: true,
        quirks: Quirks { reasoning_on_top: true, key_test_path: "api-key", ..USUAL },
    },
    Provider {
        slug: "together",
        name: "Together",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.together.ai/v1"),
        key_hint: "64 letters and digits",
        keys_url: "https://api.together.ai/settings/api-keys",
        takes_schema: false,
        quirks: USUAL,
    },
    Provider {
        slug: "exa",
        name: "Exa",
        wire: Wire::ExaSearch,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.exa.ai"),
        key_hint: "a UUID",
        keys_url: "https://dashboard.exa.ai/api-keys",
        takes_schema: false,
        // Exa has no call that costs nothing and takes every key: the smallest search.
        quirks: Quirks {
            key_test_path: "search",
            key_test_body: Some(r#"{"query": "test", "numResults": 1}"#),
            reports_cost: true,
            ..USUAL
        },
    },
    Provider {
        slug: "tavily",
        name: "Tavily",
        wire: Wire::TavilySearch,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://api.tavily.com"),
        key_hint: "tvly-…",
        keys_url: "https://app.tavily.com",
        takes_schema: false,
        quirks: Quirks { key_test_path: "usage", ..USUAL },
    },
    Provider {
        slug: "serper",
        name: "Serper",
        wire: Wire::SerperSearch,
        image_wire: None,
        base_url: BaseUrl::Fixed("https://google.serper.dev"),
        key_hint: "40 letters and digits",
        keys_url: "https://serper.dev/api-keys",
        takes_schema: false,
        quirks: Quirks { key_test_path: "account", ..USUAL },
    },
    Provider {
        slug: "openai-compatible",
        name: "OpenAI-compatible",
        wire: Wire::OpenaiChat,
        image_wire: None,
        base_url: BaseUrl::PerKey,
        key_hint: "whatever the server takes",
        keys_url: "",
        takes_schema: false,
        quirks: USUAL,
    },
    Provider {
        slug: "sandbox",
        name: "Sandbox",
        wire: Wire::OpenaiChat,
        image_wire: Some(Wire::OpenaiImages),
        base_url: BaseUrl::Operator,
        key_hint: "anything",
        keys_url: "",
        takes_schema: true,
        quirks: Quirks {
            // The wire of OpenRouter, where the list of models is public and proves nothing.
            key_test_path: "key",
            reports_cost: true,
            attempt_header: Some("x-acm2-attempt-id"),
            ..USUAL
        },
    },
];

/// The row of a slug.
pub fn find_provider(slug: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.slug == slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_fit_a_model_string() {
        for (index, provider) in PROVIDERS.iter().enumerate() {
            assert!(provider.slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", provider.slug);
            assert!(PROVIDERS[..index].iter().all(|other| other.slug != provider.slug), "{}", provider.slug);
        }
    }
}
