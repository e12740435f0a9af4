//! Provider keys of the environment: one person's machine has them already (`OPENAI_API_KEY`), so the local mode imports
//! them into the local tenant. The hosted mode does not even read them.

use acm2_domain::providers::{BaseUrl, PROVIDERS};

/// The variables that hold a provider's key, as slug and name. Where two name one provider, the first that is set counts.
pub(super) fn variables() -> impl Iterator<Item = (&'static str, String)> {
    PROVIDERS.iter().filter(|provider| matches!(provider.base_url, BaseUrl::Fixed(_))).flat_map(|provider| {
        // Google's own libraries read both names.
        let other = (provider.slug == "google").then(|| (provider.slug, "GEMINI_API_KEY".to_owned()));
        let usual = (provider.slug, format!("{}_API_KEY", super::names::in_variable(provider.slug)));
        other.into_iter().chain([usual])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hosted_provider_has_the_variable_that_its_own_tools_read() {
        let names: Vec<String> = variables().map(|(_, name)| name).collect();
        let expected = [
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "OPENROUTER_API_KEY",
            "MISTRAL_API_KEY",
            "GROQ_API_KEY",
            "DEEPSEEK_API_KEY",
            "XAI_API_KEY",
            "TOGETHER_API_KEY",
        ];
        for name in expected {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
