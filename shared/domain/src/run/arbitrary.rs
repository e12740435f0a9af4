//! Any request for a run, for property tests: every field, set or not, with values that are likely to be mishandled.

use proptest::option;
use proptest::prelude::*;

use super::{DocumentChoice, InlineDocument, ModelChoice, NewRun, OnInDoubt, Priority};
use crate::call::{Message, Role};
use crate::ids::{DocumentId, ProviderKeyId, TemplateId};
use crate::money::Usd;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", Just("{{x}} {criteria} \u{202e}<script>\0'\"\\\n".to_owned())]
}

fn model() -> impl Strategy<Value = ModelChoice> {
    let numbers = (option::of(0_u32..=200), option::of(0_u32..=100), option::of(0_u32..=2_000_000));
    (text(), option::of(any::<u128>()), numbers).prop_map(|(model, key, (temperature, top_p, max_output_tokens))| {
        ModelChoice {
            model,
            provider_key_id: key.map(|key| ProviderKeyId::from(uuid::Uuid::from_u128(key))),
            temperature: temperature.map(|hundredths| f64::from(hundredths) / 100.0),
            top_p: top_p.map(|hundredths| f64::from(hundredths) / 100.0),
            max_output_tokens,
        }
    })
}

fn document() -> impl Strategy<Value = DocumentChoice> {
    prop_oneof![
        any::<u128>().prop_map(|id| DocumentChoice::Stored(DocumentId::from(uuid::Uuid::from_u128(id)))),
        (text(), text()).prop_map(|(name, text)| DocumentChoice::Inline(InlineDocument { name, text })),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (prop::sample::select(vec![Role::User, Role::Assistant]), text())
        .prop_map(|(role, content)| Message { role, content })
}

/// What is asked: nothing, or one of the three ways.
fn asks() -> impl Strategy<Value = NewRun> {
    let variables = || prop::collection::btree_map("[a-z]{1,4}", text(), 0..4);
    prop_oneof![
        Just(NewRun::default()),
        text().prop_map(|prompt| NewRun { prompt: Some(prompt), ..NewRun::default() }),
        prop::collection::vec(message(), 0..4)
            .prop_map(|messages| NewRun { messages: Some(messages), ..NewRun::default() }),
        (any::<u128>(), variables()).prop_map(|(id, variables)| NewRun {
            template_id: Some(TemplateId::from(uuid::Uuid::from_u128(id))),
            variables,
            ..NewRun::default()
        }),
    ]
}

/// Any request that names no preset.
pub(super) fn any_request() -> impl Strategy<Value = NewRun> {
    let lists = (
        prop::collection::vec(model(), 0..4),
        prop::collection::vec(document(), 0..4),
        prop::collection::vec(text(), 0..4),
        prop::collection::btree_map(text(), text(), 0..4),
    );
    let numbers = prop::array::uniform6(option::of(any::<u32>()));
    let choices = (
        option::of(prop::sample::select(vec![OnInDoubt::Retry, OnInDoubt::Fail])),
        option::of(prop::sample::select(vec![Priority::Low, Priority::Normal, Priority::High])),
        option::of((0..i64::MAX).prop_map(Usd::from_pico)),
    );
    let texts = (option::of(text()), option::of(text()));
    (asks(), lists, numbers, choices, texts).prop_map(
        |(
            asks,
            (models, documents, tags, metadata),
            numbers,
            (on_in_doubt, priority, max_cost_usd),
            (system, webhook_url),
        )| {
            let [iterations, concurrency, max_retries, max_output_tokens, timeout_seconds, deadline_seconds] = numbers;
            NewRun {
                documents,
                system,
                models,
                iterations,
                concurrency,
                max_retries,
                max_output_tokens,
                timeout_seconds,
                deadline_seconds,
                on_in_doubt,
                priority,
                max_cost_usd,
                metadata,
                tags,
                webhook_url,
                ..asks
            }
        },
    )
}
