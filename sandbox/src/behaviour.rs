//! The one registry of behaviours: what a part of a model name makes the sandbox do.
//! `plan` composes the parts, `brand` lists the examples as models, `own_pages` publishes the list. To add a behaviour,
//! add a row here (and to the README, which a test compares). It must not know wires or HTTP.

use std::time::Duration;

use serde::Serialize;

use crate::{
    judge::Judge,
    plan::{Effect, Failure, FailureKind, Shape, Text},
    rate::Rate,
    reply::Finish,
    researcher::Researcher,
};

/// One row of the registry.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Behaviour {
    /// How the part is written; `<n>` and `<k>` stand for whole numbers.
    pub name: &'static str,
    /// Parts that can be used as they stand; these are what the model lists show.
    pub examples: &'static [&'static str],
    /// What it does.
    pub effect: &'static str,
    /// The effect of a part, or nothing when the part is not this behaviour.
    #[serde(skip)]
    pub(crate) read: fn(&str) -> Option<Effect>,
}

/// Longest wait that a name can ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Largest text that `size-<n>k` gives, in KiB; more than this is what `huge` is for.
const LARGEST_SIZE_KIB: usize = 10_240;

/// Every behaviour, in the order in which the documentation shows them.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "echo",
        examples: &["echo"],
        effect: "answers at once with `Echo: ` and the last user message",
        read: |part| (part == "echo").then_some(Effect::Text(Text::Echo)),
    },
    Behaviour {
        name: "fast",
        examples: &["fast"],
        effect: "waits for nothing: the opposite of `slow-…`; echoes unless told otherwise",
        read: |part| (part == "fast").then_some(Effect::Wait(Duration::ZERO)),
    },
    Behaviour {
        name: "slow-<n>s",
        examples: &["slow-1s", "slow-5s", "slow-30s"],
        effect: "waits n seconds before it does anything else (at most 3600)",
        read: |part| wait(number(part, "slow-", "s")?, 1_000),
    },
    Behaviour {
        name: "slow-<n>ms",
        examples: &["slow-250ms"],
        effect: "waits n milliseconds before it does anything else",
        read: |part| wait(number(part, "slow-", "ms")?, 1),
    },
    Behaviour {
        name: "size-<n>k",
        examples: &["size-1k", "size-64k"],
        effect: "answers with a text of exactly n KiB (1 to 10240), or an image of at least as many",
        read: |part| {
            let kib = usize::try_from(number(part, "size-", "k")?).ok()?;
            (1..=LARGEST_SIZE_KIB).contains(&kib).then_some(Effect::Text(Text::Size { bytes: kib * 1024 }))
        },
    },
    Behaviour {
        name: "fail-<n>",
        examples: &[
            "fail-400", "fail-401", "fail-402", "fail-403", "fail-404", "fail-429", "fail-500", "fail-503", "fail-529",
        ],
        effect: "always answers with HTTP status n (400 to 599) and the provider's own error body; 429 carries `Retry-After: 1` (Gemini: RetryInfo of 1s)",
        read: |part| fail(number(part, "fail-", "")?, FailureKind::Plain, None),
    },
    Behaviour {
        name: "fail-<n>-then-ok",
        examples: &["fail-429-then-ok", "fail-500-then-ok"],
        effect: "the first call with this key, model and prompt fails as `fail-<n>`, later ones succeed; 402 on OpenRouter is the retryable `in_flight_budget_exhausted`",
        read: |part| fail(number(part, "fail-", "-then-ok")?, FailureKind::Plain, Some(1)),
    },
    Behaviour {
        name: "fail-<n>-times-<k>",
        examples: &["fail-503-times-2"],
        effect: "the first k calls with this key, model and prompt fail as `fail-<n>`, later ones succeed",
        read: |part| {
            let (status, times) = part.strip_prefix("fail-")?.split_once("-times-")?;
            fail(whole(status)?, FailureKind::Plain, Some(u32::try_from(whole(times)?).ok().filter(|k| *k > 0)?))
        },
    },
    Behaviour {
        name: "fail-429-quota",
        examples: &["fail-429-quota"],
        effect: "always answers 429 with the provider's body for a spent quota, which waiting does not cure",
        read: |part| (part == "fail-429-quota").then(|| fail(429, FailureKind::Quota, None))?,
    },
    Behaviour {
        name: "rate-<n>-per-<m>s",
        examples: &["rate-5-per-1s", "rate-1-per-2s"],
        effect: "at most n calls in any m seconds with this key and model: headers tell what is left (`x-ratelimit-*-requests`, Anthropic's own names, none for Gemini), one more is a 429 with `retry-after` and `retry-after-ms`",
        read: |part| {
            let (calls, seconds) = part.strip_prefix("rate-")?.strip_suffix('s')?.split_once("-per-")?;
            let whole = |digits| u32::try_from(whole(digits)?).ok().filter(|number| *number > 0);
            Some(Effect::Rate(Rate { calls: whole(calls)?, seconds: whole(seconds)? }))
        },
    },
    Behaviour {
        name: "echo-key-in-error",
        examples: &["echo-key-in-error"],
        effect: "answers 400 with a message that repeats the API key that was sent, to test scrubbing",
        read: |part| (part == "echo-key-in-error").then(|| fail(400, FailureKind::EchoKey, None))?,
    },
    Behaviour {
        name: "error-in-200",
        examples: &["error-in-200"],
        effect: "status 200 with an error object as the body (OpenAI responses: `status: failed`)",
        read: |part| shape(part, "error-in-200", Shape::ErrorIn200),
    },
    Behaviour {
        name: "html",
        examples: &["html"],
        effect: "status 200 with an HTML page, as a proxy in between would send",
        read: |part| shape(part, "html", Shape::Html),
    },
    Behaviour {
        name: "malformed",
        examples: &["malformed"],
        effect: "status 200 with the first half of the JSON, complete as HTTP",
        read: |part| shape(part, "malformed", Shape::Malformed),
    },
    Behaviour {
        name: "empty",
        examples: &["empty"],
        effect: "status 200 without any content in the answer",
        read: |part| (part == "empty").then_some(Effect::Text(Text::Empty)),
    },
    Behaviour {
        name: "cut",
        examples: &["cut"],
        effect: "status 200, then closes the connection in the middle of the body",
        read: |part| shape(part, "cut", Shape::Cut),
    },
    Behaviour {
        name: "cut-before",
        examples: &["cut-before"],
        effect: "closes the connection before any byte of an answer",
        read: |part| shape(part, "cut-before", Shape::CutBefore),
    },
    Behaviour {
        name: "reset",
        examples: &["reset"],
        effect: "resets the connection (TCP RST) before any byte of an answer",
        read: |part| shape(part, "reset", Shape::Reset),
    },
    Behaviour {
        name: "hang",
        examples: &["hang"],
        effect: "never answers; the log notes when the client went away",
        read: |part| shape(part, "hang", Shape::Hang),
    },
    Behaviour {
        name: "redirect",
        examples: &["redirect"],
        effect: "answers 307 to another host name of this server, `/sandbox/redirect-target`, which logs who follows and with which key",
        read: |part| shape(part, "redirect", Shape::Redirect),
    },
    Behaviour {
        name: "huge",
        examples: &["huge"],
        effect: "status 200 with a valid answer whose text is 64 MiB, streamed",
        read: |part| shape(part, "huge", Shape::Huge),
    },
    Behaviour {
        name: "length",
        examples: &["length"],
        effect: "stops at half of the words with the finish reason for the output limit",
        read: |part| (part == "length").then_some(Effect::Finish(Finish::Length)),
    },
    Behaviour {
        name: "filter",
        examples: &["filter"],
        effect: "no text, and the wire's own content filter finish (Gemini: a blocked prompt without candidates)",
        read: |part| (part == "filter").then_some(Effect::Finish(Finish::Filter)),
    },
    Behaviour {
        name: "refusal",
        examples: &["refusal"],
        effect: "the model declines in the wire's own manner (Gemini: finish SAFETY)",
        read: |part| (part == "refusal").then_some(Effect::Finish(Finish::Refusal)),
    },
    Behaviour {
        name: "unknown-finish",
        examples: &["unknown-finish"],
        effect: "a finish reason that no documentation names",
        read: |part| (part == "unknown-finish").then_some(Effect::Finish(Finish::Unknown)),
    },
    Behaviour {
        name: "judge",
        examples: &["judge"],
        effect: "judges what the request's schema, or else its prompt, asks for (see below); anything else it echoes",
        read: |part| judge(part, "judge", Judge::Fair),
    },
    Behaviour {
        name: "judge-<n>",
        examples: &["judge-1", "judge-2"],
        effect: "another judge with opinions of its own",
        read: |part| number(part, "judge-", "").map(|_| Effect::Text(Text::Judge(Judge::Fair))),
    },
    Behaviour {
        name: "judge-first",
        examples: &["judge-first"],
        effect: "of two answers prefers the one that is shown first, and ranks as shown; scores as `judge`",
        read: |part| judge(part, "judge-first", Judge::First),
    },
    Behaviour {
        name: "judge-low",
        examples: &["judge-low"],
        effect: "as `judge`, but gives no score above 2",
        read: |part| judge(part, "judge-low", Judge::Low),
    },
    Behaviour {
        name: "judge-high",
        examples: &["judge-high"],
        effect: "as `judge`, but gives no score below 4",
        read: |part| judge(part, "judge-high", Judge::High),
    },
    Behaviour {
        name: "judge-gap",
        examples: &["judge-gap"],
        effect: "as `judge`, but leaves out the last criterion or label",
        read: |part| judge(part, "judge-gap", Judge::Gap),
    },
    Behaviour {
        name: "judge-fenced",
        examples: &["judge-fenced"],
        effect: "as `judge`, but puts its JSON in a code fence between sentences",
        read: |part| judge(part, "judge-fenced", Judge::Fenced),
    },
    Behaviour {
        name: "judge-malformed",
        examples: &["judge-malformed"],
        effect: "as `judge`, but stops in the middle of its JSON",
        read: |part| judge(part, "judge-malformed", Judge::Malformed),
    },
    Behaviour {
        name: "judge-malformed-then-ok",
        examples: &["judge-malformed-then-ok"],
        effect: "the first answer to this key, model and question is as `judge-malformed`, later ones as `judge`, also where a message that asks to mend it follows the question",
        read: |part| judge(part, "judge-malformed-then-ok", Judge::MalformedThenFair),
    },
    Behaviour {
        name: "judge-malformed-until-told",
        examples: &["judge-malformed-until-told"],
        effect: "as `judge-malformed`, however often it is asked, until a message that asks to mend it follows the question; then as `judge`",
        read: |part| judge(part, "judge-malformed-until-told", Judge::MalformedUntilTold),
    },
    Behaviour {
        name: "image",
        examples: &["image"],
        effect: "as `echo`; the price list has a price for its images",
        read: |part| (part == "image").then_some(Effect::Text(Text::Echo)),
    },
    Behaviour {
        name: "image-html",
        examples: &["image-html"],
        effect: "where an image is wanted, a page of HTML that is said to be a PNG; elsewhere as `echo`",
        read: |part| (part == "image-html").then_some(Effect::Text(Text::Page)),
    },
    Behaviour {
        name: "researcher",
        examples: &["researcher"],
        effect: "plans queries, takes notes and writes reports, as its prompt asks (see below); anything else it echoes",
        read: |part| (part == "researcher").then_some(Effect::Text(Text::Researcher(Researcher::Fair))),
    },
    Behaviour {
        name: "researcher-few",
        examples: &["researcher-few"],
        effect: "as `researcher`, but plans one query only",
        read: |part| (part == "researcher-few").then_some(Effect::Text(Text::Researcher(Researcher::Few))),
    },
    Behaviour {
        name: "researcher-wild",
        examples: &["researcher-wild"],
        effect: "as `researcher`, but cites a source that there is not too",
        read: |part| (part == "researcher-wild").then_some(Effect::Text(Text::Researcher(Researcher::Wild))),
    },
    Behaviour {
        name: "researcher-mute",
        examples: &["researcher-mute"],
        effect: "as `researcher`, but cites nothing",
        read: |part| (part == "researcher-mute").then_some(Effect::Text(Text::Researcher(Researcher::Mute))),
    },
    Behaviour {
        name: "cached",
        examples: &["cached"],
        effect: "half of the input tokens (rounded down) are reported as read from the cache",
        read: |part| (part == "cached").then_some(Effect::Cached),
    },
    Behaviour {
        name: "reasoning",
        examples: &["reasoning"],
        effect: "16 reasoning tokens more, reported in the wire's own manner",
        read: |part| (part == "reasoning").then_some(Effect::Reasoning),
    },
    Behaviour {
        name: "no-usage",
        examples: &["no-usage"],
        effect: "no usage in the answer",
        read: |part| (part == "no-usage").then_some(Effect::NoUsage),
    },
    Behaviour {
        name: "cost",
        examples: &["cost"],
        effect: "reports `usage.cost` on the OpenAI wires (OpenRouter's routes always do)",
        read: |part| (part == "cost").then_some(Effect::Cost),
    },
];

/// The effect of one part of a model name, or nothing when no behaviour is called so.
pub(crate) fn effect_of(part: &str) -> Option<Effect> {
    BEHAVIOURS.iter().find_map(|behaviour| (behaviour.read)(part))
}

fn whole(digits: &str) -> Option<u64> {
    // `parse` alone would also take a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn number(part: &str, before: &str, after: &str) -> Option<u64> {
    whole(part.strip_prefix(before)?.strip_suffix(after)?)
}

fn wait(count: u64, unit_ms: u64) -> Option<Effect> {
    let wait = Duration::from_millis(count.checked_mul(unit_ms)?);
    (wait <= LONGEST_WAIT).then_some(Effect::Wait(wait))
}

fn fail(status: u64, kind: FailureKind, times: Option<u32>) -> Option<Effect> {
    let status = u16::try_from(status).ok().filter(|status| (400..=599).contains(status))?;
    Some(Effect::Fail(Failure { status, kind, times }))
}

fn shape(part: &str, name: &str, shape: Shape) -> Option<Effect> {
    (part == name).then_some(Effect::Shape(shape))
}

fn judge(part: &str, name: &str, judge: Judge) -> Option<Effect> {
    (part == name).then_some(Effect::Text(Text::Judge(judge)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_read_by_its_own_row_and_by_no_other() {
        for behaviour in BEHAVIOURS {
            for example in behaviour.examples {
                let readers: Vec<_> =
                    BEHAVIOURS.iter().filter(|row| (row.read)(example).is_some()).map(|row| row.name).collect();
                assert_eq!(readers, [behaviour.name], "{example}");
            }
        }
    }

    #[test]
    fn the_readme_has_a_row_for_every_behaviour() {
        let readme = include_str!("../README.md");
        for behaviour in BEHAVIOURS {
            let row = format!("| `{}` | {} |", behaviour.name, behaviour.effect);
            assert!(readme.contains(&row), "the README lacks this line:\n{row}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_no_behaviour() {
        for part in ["slow-s", "slow--1s", "slow-+1s", "slow-3601s", "size-0k", "size-10241k", "fail-399", "fail-600"] {
            assert!(effect_of(part).is_none(), "{part}");
        }
        for part in ["fail-500-times-0", "fail-500-times-", "fail-500-quota", "slow-99999999999999999999s"] {
            assert!(effect_of(part).is_none(), "{part}");
        }
    }
}
