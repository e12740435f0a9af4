//! What the sandbox answers before it is put into a wire's form, and the numbers that it reports.
//! Made by `generate`, rendered by `wire`. Everything here follows from the question and the plan alone, so that a
//! caller can work out tokens and cost beforehand. It must not know wires or HTTP.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    judge,
    picture::Picture,
    plan::{Plan, Text},
    researcher,
};

/// Why the answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Finish {
    #[default]
    Stop,
    Length,
    Filter,
    Refusal,
    Unknown,
}

/// Tokens of one call, in one form for all wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, those from the cache included: words of all messages + 3.
    pub input: u64,
    /// Input tokens that came from the cache; part of `input`.
    pub cached: u64,
    /// All output tokens, reasoning included: words of the answer, or what the provider counts for an image, and the reasoning.
    pub output: u64,
    /// Reasoning tokens; part of `output`.
    pub reasoning: u64,
}

/// Tokens that `reasoning` adds.
const REASONING_TOKENS: u64 = 16;
/// Tokens that every call costs on top of its words.
const TOKENS_PER_CALL: u64 = 3;
/// Price of a million input tokens in US dollars: one token costs this many millionths.
pub(crate) const INPUT_PRICE: u64 = 1;
/// Price of a million output tokens in US dollars.
pub(crate) const OUTPUT_PRICE: u64 = 2;

impl Usage {
    /// Cost in millionths of a US dollar; tokens from the cache are not cheaper here.
    pub(crate) fn cost_micro_usd(self) -> u64 {
        self.input * INPUT_PRICE + self.output * OUTPUT_PRICE
    }
}

/// The question, in one form for all wires.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    /// Text of every message, system text included, in order.
    pub(crate) texts: Vec<String>,
    /// Text of every message of the user, in order.
    pub(crate) questions: Vec<String>,
    /// What the answer is to fit, where the request has a JSON schema.
    pub(crate) schema: Option<Value>,
    /// The image that is wanted instead of a text.
    pub(crate) picture: Option<Picture>,
    pub(crate) stream: bool,
}

impl Asked {
    /// Text of the last message of the user.
    pub(crate) fn prompt(&self) -> &str {
        self.questions.last().map_or("", String::as_str)
    }

    fn words(&self) -> u64 {
        self.texts.iter().map(|text| words(text)).sum()
    }
}

/// The answer, in one form for all wires.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Hexadecimal; the wire puts its own prefix before it.
    pub(crate) id: String,
    pub(crate) model: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) text: String,
    /// The bytes of the image, where one is wanted; then there is no text.
    pub(crate) picture: Option<Vec<u8>>,
    pub(crate) finish: Finish,
    pub(crate) reasoning: bool,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost_micro_usd: Option<u64>,
}

impl Reply {
    /// The answer that `plan` gives to `asked`.
    pub(crate) fn new(plan: &Plan, asked: &Asked, id: String, created: i64) -> Self {
        let (text, picture) = match asked.picture {
            None => (text(plan, asked), None),
            Some(wanted) => (String::new(), picture(plan, asked, wanted)),
        };
        let made = match asked.picture {
            None => words(&text),
            Some(wanted) => picture.as_ref().map_or(0, |_| wanted.tokens),
        };
        let usage = usage(plan, asked, made);
        Self {
            id,
            model: asked.model.clone(),
            created,
            text,
            picture,
            finish: plan.finish(),
            reasoning: plan.reasoning,
            usage: (!plan.no_usage).then_some(usage),
            cost_micro_usd: (plan.cost && !plan.no_usage).then(|| usage.cost_micro_usd()),
        }
    }

    /// The same answer with a text of `words` words that the caller writes itself.
    pub(crate) fn with_text_of(mut self, plan: &Plan, asked: &Asked, text: &str, words: u64) -> Self {
        text.clone_into(&mut self.text);
        self.picture = None;
        let usage = usage(plan, asked, words);
        self.usage = self.usage.map(|_| usage);
        self.cost_micro_usd = self.cost_micro_usd.map(|_| usage.cost_micro_usd());
        self
    }
}

/// The bytes of the image; nothing where a filter takes it.
fn picture(plan: &Plan, asked: &Asked, wanted: Picture) -> Option<Vec<u8>> {
    if matches!(plan.finish(), Finish::Filter | Finish::Refusal) {
        return None;
    }
    match plan.text() {
        Text::Empty => None,
        Text::Page => Some(b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>".to_vec()),
        Text::Size { bytes } => Some(wanted.png(asked.prompt(), bytes)),
        Text::Echo | Text::Judge(_) | Text::Researcher(_) => Some(wanted.png(asked.prompt(), 0)),
    }
}

fn text(plan: &Plan, asked: &Asked) -> String {
    let echo = || format!("Echo: {}", asked.prompt());
    let whole = match plan.text() {
        Text::Echo | Text::Page => echo(),
        Text::Judge(judge) => judge::answer(judge, asked).unwrap_or_else(echo),
        Text::Researcher(researcher) => researcher::answer(researcher, asked).unwrap_or_else(echo),
        Text::Size { bytes } => "sandbox ".chars().cycle().take(bytes).collect(),
        Text::Empty => String::new(),
    };
    match plan.finish() {
        Finish::Stop | Finish::Unknown => whole,
        Finish::Length => {
            let words: Vec<_> = whole.split_whitespace().collect();
            words[..words.len() / 2].join(" ")
        }
        Finish::Filter => String::new(),
        Finish::Refusal => "I cannot help with that.".to_owned(),
    }
}

/// `made`: what the answer takes without reasoning: its words, or what is counted for an image.
fn usage(plan: &Plan, asked: &Asked, made: u64) -> Usage {
    let input = asked.words() + TOKENS_PER_CALL;
    let reasoning = if plan.reasoning { REASONING_TOKENS } else { 0 };
    Usage { input, cached: if plan.cached { input / 2 } else { 0 }, output: made + reasoning, reasoning }
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(model: &str) -> Reply {
        let asked = Asked {
            model: model.to_owned(),
            texts: vec!["be brief".to_owned(), "one two three".to_owned()],
            questions: vec!["one two three".to_owned()],
            schema: None,
            picture: None,
            stream: false,
        };
        Reply::new(&Plan::of(model).unwrap(), &asked, "1".to_owned(), 0)
    }

    #[test]
    fn tokens_are_words_and_cost_follows_from_them() {
        let echo = reply("echo+cost");
        assert_eq!(echo.text, "Echo: one two three");
        assert_eq!(echo.usage, Some(Usage { input: 8, cached: 0, output: 4, reasoning: 0 }));
        assert_eq!(echo.cost_micro_usd, Some(16));
        let all = reply("cached+reasoning").usage.unwrap();
        assert_eq!(all, Usage { input: 8, cached: 4, output: 20, reasoning: 16 });
        assert_eq!(reply("no-usage+cost").cost_micro_usd, None);
    }

    #[test]
    fn size_length_and_empty_shape_the_text() {
        assert_eq!(reply("size-2k").text.len(), 2048);
        assert_eq!(reply("length").text, "Echo: one");
        assert_eq!(reply("empty").text, "");
        assert_eq!(reply("filter").usage.unwrap().output, 0);
    }
}
