//! What one model name asks for: the parts of the name, composed.
//! `generate` follows a plan; `behaviour` supplies the effects. It must not know wires or HTTP bodies.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{behaviour::effect_of, judge::Judge, rate::Rate, reply::Finish, researcher::Researcher};

/// What one behaviour changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Text(Text),
    Wait(Duration),
    Fail(Failure),
    Rate(Rate),
    Shape(Shape),
    Finish(Finish),
    Cached,
    Reasoning,
    NoUsage,
    Cost,
}

/// Where the text of the answer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Text {
    #[default]
    Echo,
    Size {
        bytes: usize,
    },
    Empty,
    /// Where an image is wanted, a page of HTML instead.
    Page,
    Judge(Judge),
    Researcher(Researcher),
}

/// An error answer, for ever or for the first `times` calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) kind: FailureKind,
    pub(crate) times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Plain,
    Quota,
    EchoKey,
}

/// How the answer is put on the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Whole,
    ErrorIn200,
    Html,
    Malformed,
    Cut,
    CutBefore,
    Reset,
    Hang,
    Redirect,
    Huge,
}

/// The whole of what a model name asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    text: Option<Text>,
    wait: Option<Duration>,
    failure: Option<Failure>,
    pub(crate) rate: Option<Rate>,
    shape: Option<Shape>,
    finish: Option<Finish>,
    pub(crate) cached: bool,
    pub(crate) reasoning: bool,
    pub(crate) no_usage: bool,
    pub(crate) cost: bool,
}

impl Plan {
    /// Reads `[sandbox/]part[+part…]`. Nothing when a part is unknown, or when two parts want the same thing
    /// (`length+filter`): such a name is an unknown model.
    pub(crate) fn of(model: &str) -> Option<Self> {
        let name = model.strip_prefix("sandbox/").unwrap_or(model);
        name.split('+').try_fold(Self::default(), |plan, part| plan.with(effect_of(part)?))
    }

    fn with(mut self, effect: Effect) -> Option<Self> {
        let free = match effect {
            Effect::Text(text) => self.text.replace(text).is_none(),
            Effect::Wait(wait) => self.wait.replace(wait).is_none(),
            Effect::Fail(failure) => self.failure.replace(failure).is_none(),
            Effect::Rate(rate) => self.rate.replace(rate).is_none(),
            Effect::Shape(shape) => self.shape.replace(shape).is_none(),
            Effect::Finish(finish) => self.finish.replace(finish).is_none(),
            Effect::Cached => !std::mem::replace(&mut self.cached, true),
            Effect::Reasoning => !std::mem::replace(&mut self.reasoning, true),
            Effect::NoUsage => !std::mem::replace(&mut self.no_usage, true),
            Effect::Cost => !std::mem::replace(&mut self.cost, true),
        };
        free.then_some(self)
    }

    pub(crate) fn text(&self) -> Text {
        self.text.unwrap_or_default()
    }

    /// The same plan with another judge.
    pub(crate) fn judging(self, judge: Judge) -> Self {
        Self { text: Some(Text::Judge(judge)), ..self }
    }

    pub(crate) fn wait(&self) -> Duration {
        self.wait.unwrap_or_default()
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape.unwrap_or_default()
    }

    pub(crate) fn finish(&self) -> Finish {
        self.finish.unwrap_or_default()
    }
}

/// Key fingerprint, model and prompt fingerprint: what `fail-…-then-ok` and `judge-malformed-then-ok` count by.
pub(crate) type Sameness = (String, String, String);

/// Counts the calls that are the same, for what ends after some calls.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: HashMap<Sameness, u32>,
    /// Oldest first, so that a long-lived sandbox forgets instead of growing.
    order: VecDeque<Sameness>,
}

/// How many different calls are remembered.
const REMEMBERED: usize = 100_000;

impl Repeats {
    /// Counts this call; says which one of its kind it is, from 1.
    pub(crate) fn count(&self, same: Sameness) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = counts.calls.get_mut(&same) {
            *calls = calls.saturating_add(1);
            return *calls;
        }
        if counts.order.len() >= REMEMBERED
            && let Some(oldest) = counts.order.pop_front()
        {
            counts.calls.remove(&oldest);
        }
        counts.order.push_back(same.clone());
        counts.calls.insert(same, 1);
        1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::BEHAVIOURS;

    #[test]
    fn parts_compose_and_the_prefix_is_optional() {
        let plan = Plan::of("sandbox/slow-250ms+fail-429-then-ok+size-2k+cached").unwrap();
        assert_eq!(Some(plan), Plan::of("slow-250ms+fail-429-then-ok+size-2k+cached"));
        assert_eq!(plan.wait(), Duration::from_millis(250));
        assert_eq!(plan.text(), Text::Size { bytes: 2048 });
        assert_eq!(plan.failure().unwrap().times, Some(1));
        assert!(plan.cached && !plan.reasoning);
    }

    #[test]
    fn unknown_empty_and_contradicting_names_are_no_model() {
        for name in ["", "+", "echo+", "gpt-4", "sandbox/", "length+filter", "hang+cut", "cached+cached", "Echo"] {
            assert_eq!(Plan::of(name), None, "{name}");
        }
    }

    #[test]
    fn the_same_call_is_counted_and_others_are_not() {
        let repeats = Repeats::default();
        let same = |prompt: &str| ("key".to_owned(), "model".to_owned(), prompt.to_owned());
        assert_eq!([repeats.count(same("a")), repeats.count(same("a")), repeats.count(same("b"))], [1, 2, 1]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(name in "\\PC{0,40}") {
            let _ = Plan::of(&name);
        }

        #[test]
        fn the_order_of_parts_does_not_matter(a in 0..BEHAVIOURS.len(), b in 0..BEHAVIOURS.len(), ms in 0..5_000_u32) {
            let (a, b) = (BEHAVIOURS[a].examples[0], BEHAVIOURS[b].examples[0]);
            prop_assert_eq!(Plan::of(&format!("{a}+{b}")), Plan::of(&format!("{b}+{a}")));
            prop_assert_eq!(
                Plan::of(&format!("slow-{ms}ms")).map(|plan| plan.wait()),
                Some(Duration::from_millis(u64::from(ms)))
            );
        }
    }
}
