//! Any request for a run, for property tests: every field, set or not, with values that are likely to be mishandled.

use proptest::option;
use proptest::prelude::*;

use super::{
    Council, DocumentChoice, Generator, ImageChoice, InlineDocument, ModelChoice, NewRun, OnInDoubt, Priority,
    ResearchChoice, Switch,
};
use crate::call::{Message, Role};
use crate::ids::{DocumentId, ProviderKeyId, TemplateId};
use crate::image::{ImageQuality, ImageSize};
use crate::money::Usd;
use crate::stages::NewStages;

pub(crate) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", Just("{{x}} {criteria} \u{202e}<script>\0'\"\\\n".to_owned())]
}

pub(crate) fn any_model() -> impl Strategy<Value = ModelChoice> {
    let numbers = (option::of(0_u32..=200), option::of(0_u32..=100), option::of(0_u32..=2_000_000));
    (any_text(), option::of(any::<u128>()), numbers).prop_map(
        |(model, key, (temperature, top_p, max_output_tokens))| ModelChoice {
            model,
            provider_key_id: key.map(|key| ProviderKeyId::from(uuid::Uuid::from_u128(key))),
            temperature: temperature.map(|hundredths| f64::from(hundredths) / 100.0),
            top_p: top_p.map(|hundredths| f64::from(hundredths) / 100.0),
            max_output_tokens,
        },
    )
}

/// What a request may say of something that a preset may bring.
pub(crate) fn any_switch<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Switch<T>> {
    prop_oneof![Just(Switch::Absent), Just(Switch::Off), value.prop_map(Switch::On)]
}

fn document() -> impl Strategy<Value = DocumentChoice> {
    prop_oneof![
        any::<u128>().prop_map(|id| DocumentChoice::Stored(DocumentId::from(uuid::Uuid::from_u128(id)))),
        (any_text(), any_text()).prop_map(|(name, text)| DocumentChoice::Inline(InlineDocument { name, text })),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (prop::sample::select(vec![Role::User, Role::Assistant]), any_text())
        .prop_map(|(role, content)| Message { role, content })
}

/// What is asked: nothing, or one of the three ways.
fn asks() -> impl Strategy<Value = NewRun> {
    let variables = || prop::collection::btree_map("[a-z]{1,4}", any_text(), 0..4);
    prop_oneof![
        Just(NewRun::default()),
        any_text().prop_map(|prompt| NewRun { prompt: Some(prompt), ..NewRun::default() }),
        prop::collection::vec(message(), 0..4)
            .prop_map(|messages| NewRun { messages: Some(messages), ..NewRun::default() }),
        (any::<u128>(), variables()).prop_map(|(id, variables)| NewRun {
            template_id: Some(TemplateId::from(uuid::Uuid::from_u128(id))),
            variables,
            ..NewRun::default()
        }),
    ]
}

/// What the models are asked to make.
fn makes() -> impl Strategy<Value = (Option<Generator>, Option<ImageChoice>, Option<ResearchChoice>)> {
    let generator = prop::sample::select(vec![Generator::Text, Generator::Image, Generator::Research]);
    let numbers = prop::array::uniform3(option::of(any::<u32>()));
    let research =
        (any_text(), option::of(any::<u128>()), numbers).prop_map(|(provider, key, [breadth, depth, pages])| {
            ResearchChoice {
                provider,
                provider_key_id: key.map(|key| ProviderKeyId::from(uuid::Uuid::from_u128(key))),
                breadth,
                depth,
                pages,
            }
        });
    let size = prop::sample::select(vec![ImageSize::Square, ImageSize::Portrait, ImageSize::Landscape]);
    let quality = prop::sample::select(vec![ImageQuality::Low, ImageQuality::Medium, ImageQuality::High]);
    let image = (option::of(size), option::of(quality)).prop_map(|(size, quality)| ImageChoice { size, quality });
    (option::of(generator), option::of(image), option::of(research))
}

/// Any request that names no preset.
pub(super) fn any_request() -> impl Strategy<Value = NewRun> {
    let lists = (
        prop::collection::vec(any_model(), 0..4),
        prop::collection::vec(document(), 0..4),
        prop::collection::vec(any_text(), 0..4),
        prop::collection::btree_map(any_text(), any_text(), 0..4),
    );
    let numbers = prop::array::uniform6(option::of(any::<u32>()));
    let choices = (
        option::of(prop::sample::select(vec![OnInDoubt::Retry, OnInDoubt::Fail])),
        option::of(prop::sample::select(vec![Priority::Low, Priority::Normal, Priority::High])),
        option::of((0..i64::MAX).prop_map(Usd::from_pico)),
    );
    let texts = (option::of(any_text()), option::of(any_text()), NewStages::any());
    let council = any_switch(any_model().prop_map(|chair| Council { chair }));
    (asks(), lists, numbers, choices, (texts, council), makes()).prop_map(
        |(
            asks,
            (models, documents, tags, metadata),
            numbers,
            (on_in_doubt, priority, max_cost_usd),
            ((system, webhook_url, stages), council),
            (generator, image, research),
        )| {
            let [iterations, concurrency, max_retries, max_output_tokens, timeout_seconds, deadline_seconds] = numbers;
            NewRun {
                documents,
                system,
                models,
                generator,
                image,
                research,
                stages,
                council,
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
