//! Who made a model, whichever way it is asked: gateways call makers by other names than providers call themselves. Called where
//! judges are kept from what models of their own family write. Names are those that makers have in `PROVIDERS`, in the price table,
//! and at OpenRouter, Together, Groq and Hugging Face; read in November 2026.

/// Makers that have several names, in lower case.
const MAKERS: &[&[&str]] = &[
    &["alibaba", "qwen"],
    &["deepseek", "deepseek-ai"],
    &["meta", "meta-llama"],
    &["minimax", "minimaxai"],
    &["mistral", "mistralai"],
    &["moonshot", "moonshotai"],
    &["x-ai", "xai"],
    &["xiaomi", "xiaomimimo"],
    &["z-ai", "zai", "zai-org"],
];

/// The family of a model, told by a provider's slug and that provider's name of the model: who made it, which is the provider, or,
/// behind a gateway that names the maker first (`anthropic/claude-…`), that maker. Of several names the first. The case of letters
/// makes no difference.
pub(crate) fn family<'a>((provider, model): (&'a str, &'a str)) -> &'a str {
    let maker = model.split_once('/').map_or(provider, |(maker, _)| maker);
    let is_of = |names: &&&[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(maker));
    MAKERS.iter().find(is_of).and_then(|names| names.first()).copied().unwrap_or(maker)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::prices::Prices;
    use crate::providers::find_provider;

    fn are_alike(one: (&str, &str), other: (&str, &str)) -> bool {
        family(one).eq_ignore_ascii_case(family(other))
    }

    /// Each name of a maker in the shipped price table, with the family that it is of.
    const IN_THE_TABLE: &[(&str, &str)] = &[
        ("MiniMaxAI", "minimax"),
        ("Qwen", "alibaba"),
        ("anthropic", "anthropic"),
        ("deepseek", "deepseek"),
        ("deepseek-ai", "deepseek"),
        ("google", "google"),
        ("minimax", "minimax"),
        ("mistral", "mistral"),
        ("mistralai", "mistral"),
        ("moonshotai", "moonshot"),
        ("openai", "openai"),
        ("qwen", "alibaba"),
        ("sandbox", "sandbox"),
        ("x-ai", "x-ai"),
        ("xai", "x-ai"),
        ("xiaomi", "xiaomi"),
        ("z-ai", "z-ai"),
        ("zai-org", "z-ai"),
    ];

    #[test]
    fn every_name_in_the_price_table_is_known() {
        let prices = Prices::built_in();
        let models = prices
            .rows()
            .iter()
            .filter(|row| find_provider(&row.provider).is_some_and(|provider| !provider.wire.is_search()));
        let name = |(maker, _): (&str, &str)| maker.to_owned();
        let found: BTreeSet<String> =
            models.map(|row| row.model.split_once('/').map_or_else(|| row.provider.clone(), name)).collect();
        let known: BTreeSet<String> = IN_THE_TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, known, "say of each new name whose it is, here and perhaps in MAKERS");
        for (name, maker) in IN_THE_TABLE {
            assert_eq!(family((name, "model")), *maker);
            assert_eq!(family(("openrouter", &format!("{name}/model"))), *maker);
        }
    }

    #[test]
    fn a_maker_is_known_behind_every_gateway() {
        for (one, other) in [
            (("mistral", "mistral-large-4"), ("openrouter", "mistralai/mistral-large")),
            (("xai", "grok-5"), ("openrouter", "x-ai/grok-5")),
            (("deepseek", "deepseek-chat"), ("together", "deepseek-ai/DeepSeek-V4")),
            (("groq", "qwen/qwen3.8-27b"), ("together", "Qwen/Qwen3.8")),
            (("together", "zai-org/GLM-5.1"), ("openrouter", "z-ai/glm-5.1")),
            (("together", "MiniMaxAI/MiniMax-M3"), ("openrouter", "minimax/minimax-m3")),
            (("together", "meta-llama/Llama-4"), ("openai-compatible", "Meta/llama-4")),
            (("together", "moonshotai/Kimi-K2.5"), ("openrouter", "moonshotai/kimi-k2.5")),
            (("openai", "gpt-6.1-sol"), ("groq", "openai/gpt-oss-120b")),
        ] {
            assert!(are_alike(one, other) && are_alike(other, one), "{one:?} {other:?}");
        }
        for (one, other) in [
            (("openai", "gpt-6.1-sol"), ("openrouter", "mistralai/mistral-large")),
            (("together", "Qwen/Qwen3.8"), ("together", "openai/gpt-oss-120b")),
            (("openrouter", "auto"), ("openrouter", "openai/gpt-4o")),
        ] {
            assert!(!are_alike(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn no_name_is_of_two_makers() {
        let names: Vec<&str> = MAKERS.iter().flat_map(|names| names.iter().copied()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| *name == name.to_lowercase()));
    }
}
