//! Judges: models that score an answer by criteria, choose between two, or rank several.
//! `reply` asks for the text; `question` finds what is to be judged, `opinion` judges it. It must not know wires or HTTP, nor
//! anything of those who ask but the forms that the README tells.

mod opinion;
mod question;

use std::cmp::Reverse;

use serde_json::{Value, json};

pub(crate) use self::question::Parts;
use self::question::{Question, Wanted};
use crate::reply::Asked;

/// What kind of judge it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Answers what is asked.
    Fair,
    /// Prefers what is shown first, and ranks as shown.
    First,
    /// Gives no score above 2.
    Low,
    /// Gives no score below 4.
    High,
    /// Leaves out the last criterion or label.
    Gap,
    /// Puts its JSON in a code fence, between sentences.
    Fenced,
    /// Stops in the middle of its JSON.
    Malformed,
    /// The same the first time that it sees a question, and fair from then on: `generate` counts.
    MalformedThenFair,
    /// The same until it is told to mend its answer.
    MalformedUntilTold,
}

/// The part of the conversation that decides whether it is the same question, also where a repair message follows it.
pub(crate) fn question_of(asked: &Asked) -> &str {
    question::carrier(asked)
}

/// What the judge says; nothing where it is not asked to judge.
pub(crate) fn answer(judge: Judge, asked: &Asked) -> Option<String> {
    let question = Question::of(asked)?;
    let model = asked.model.strip_prefix("sandbox/").unwrap_or(&asked.model);
    let json = match &question.wanted {
        Wanted::Scores(criteria) => scores(judge, model, criteria, &question.answer()),
        Wanted::Preference => preference(judge, model, &question.pair()),
        Wanted::Ranking(labels) => ranking(judge, model, labels, &question),
    };
    let is_told = asked.prompt() != question_of(asked);
    Some(match judge {
        Judge::MalformedUntilTold if is_told => json.to_string(),
        Judge::Fenced => format!("Here is my judgement:\n\n```json\n{json:#}\n```\n\nI hope that it helps."),
        Judge::Malformed | Judge::MalformedThenFair | Judge::MalformedUntilTold => {
            question::halves(&json.to_string()).0.to_owned()
        }
        Judge::Fair | Judge::First | Judge::Low | Judge::High | Judge::Gap => json.to_string(),
    })
}

fn scores(judge: Judge, model: &str, criteria: &[String], answer: &str) -> Value {
    let judged = if judge == Judge::Gap { criteria.len().saturating_sub(1) } else { criteria.len() };
    let evaluations: Vec<Value> = criteria[..judged]
        .iter()
        .map(|criterion| {
            let score = opinion::score(model, criterion, answer);
            let score = match judge {
                Judge::Low => score.min(2),
                Judge::High => score.max(4),
                _ => score,
            };
            json!({"criterion": criterion, "score": score, "reason": format!("The sandbox gives {score} of 5.")})
        })
        .collect();
    json!({"evaluations": evaluations})
}

fn preference(judge: Judge, model: &str, (first, second): &(String, String)) -> Value {
    // Of two answers that are the same, the first: there is nothing else to go by.
    let is_first = judge == Judge::First || opinion::merit(model, first.trim()) >= opinion::merit(model, second.trim());
    let winner = if is_first { "A" } else { "B" };
    json!({"winner": winner, "reason": format!("The sandbox prefers {winner}.")})
}

fn ranking(judge: Judge, model: &str, labels: &[String], question: &Question<'_>) -> Value {
    let mut ranked: Vec<&String> = labels.iter().collect();
    if judge != Judge::First {
        // Of answers that are the same, the one that is shown first.
        ranked.sort_by_key(|label| Reverse(opinion::merit(model, question.labelled(label).trim())));
    }
    if judge == Judge::Gap {
        ranked.retain(|label| Some(*label) != labels.last());
    }
    let critique = |label: &&String| json!({"label": label, "strengths": format!("The sandbox likes {label}."), "weaknesses": format!("The sandbox misses much in {label}.")});
    json!({"critiques": ranked.iter().map(critique).collect::<Vec<_>>(), "ranking": ranked})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(model: &str, messages: &[&str]) -> Asked {
        Asked {
            model: model.to_owned(),
            texts: messages.iter().map(|&text| text.to_owned()).collect(),
            questions: messages.iter().map(|&text| text.to_owned()).collect(),
            schema: None,
            picture: None,
            stream: false,
        }
    }

    fn said(judge: Judge, prompt: &str) -> String {
        answer(judge, &asked("judge", &[prompt])).unwrap()
    }

    fn given(judge: Judge, prompt: &str) -> Vec<u64> {
        let answer: Value = serde_json::from_str(&said(judge, prompt)).unwrap();
        answer["evaluations"].as_array().unwrap().iter().map(|entry| entry["score"].as_u64().unwrap()).collect()
    }

    fn winner(judge: Judge, first: &str, second: &str) -> String {
        let prompt = format!(
            "Which is better?\n----- answer A begins x1 -----\n{first}\n----- answer A ends x1 -----\n\
             ----- answer B begins x2 -----\n{second}\n----- answer B ends x2 -----\nChoose: A or B"
        );
        let answer: Value = serde_json::from_str(&said(judge, &prompt)).unwrap();
        answer["winner"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_fair_judge_prefers_the_same_text_in_both_orders_and_a_biased_one_the_first() {
        let mut seen = Vec::new();
        for number in 0..20 {
            let texts = (format!("text {number}"), format!("another {number}"));
            let [order, reverse] = [winner(Judge::Fair, &texts.0, &texts.1), winner(Judge::Fair, &texts.1, &texts.0)];
            assert_ne!(order, reverse, "{texts:?}");
            seen.push(order);
            assert_eq!(winner(Judge::First, &texts.0, &texts.1), "A");
            assert_eq!(winner(Judge::First, &texts.1, &texts.0), "A");
        }
        assert!(seen.contains(&"A".to_owned()) && seen.contains(&"B".to_owned()), "{seen:?}");
    }

    #[test]
    fn a_ranking_follows_from_the_texts_and_not_from_their_labels() {
        let ranked = |judge, texts: &[&str]| {
            let labels: Vec<String> = texts.iter().zip('A'..).map(|(_, label)| label.to_string()).collect();
            let frames = labels.iter().zip(texts).map(|(label, text)| {
                format!(
                    "----- answer {label} begins x -----\n{text}\nRank: [\"Z\"]\n----- answer {label} ends x -----\n"
                )
            });
            let prompt = format!("Rank: {}\n{}", json!(labels), frames.collect::<String>());
            let said: Value = serde_json::from_str(&said(judge, &prompt)).unwrap();
            let ranking = said["ranking"]
                .as_array()
                .unwrap()
                .iter()
                .map(|label| texts[labels.iter().position(|known| known == label).unwrap()].to_owned());
            ranking.collect::<Vec<_>>()
        };
        let order = ranked(Judge::Fair, &["one", "two", "three", "four"]);
        assert_eq!(ranked(Judge::Fair, &["four", "three", "two", "one"]), order);
        assert_ne!(order, ["one", "two", "three", "four"]);
        assert_eq!(ranked(Judge::First, &["one", "two", "three"]), ["one", "two", "three"]);
        let gap = ranked(Judge::Gap, &["one", "two", "three"]);
        assert_eq!((gap.len(), gap.contains(&"three".to_owned())), (2, false));
    }

    #[test]
    fn judges_that_lean_do_and_one_leaves_a_gap() {
        let prompt = |number| format!("Answer {number}\nCriteria: [\"a\",\"b\",\"c\"]");
        let all = |judge| (0..30).flat_map(|number| given(judge, &prompt(number))).collect::<Vec<_>>();
        assert_eq!((1..=5).map(|score| all(Judge::Fair).contains(&score)).collect::<Vec<_>>(), [true; 5]);
        assert!(all(Judge::Low).iter().all(|score| (1..=2).contains(score)));
        assert!(all(Judge::High).iter().all(|score| (4..=5).contains(score)));
        assert_eq!(given(Judge::Gap, &prompt(0)), given(Judge::Fair, &prompt(0))[..2]);
    }

    #[test]
    fn half_of_the_json_is_no_json_and_a_fence_keeps_all_of_it() {
        for prompt in ["Criteria: [\"a\"]", "Criteria: [\"a\",\"b\"]", "Choose: A or B", "Rank: [\"A\",\"B\"]"] {
            let fair: Value = serde_json::from_str(&said(Judge::Fair, prompt)).unwrap();
            assert!(serde_json::from_str::<Value>(&said(Judge::Malformed, prompt)).is_err());
            let fenced = said(Judge::Fenced, prompt);
            let inside = fenced.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
            assert_eq!(serde_json::from_str::<Value>(inside).unwrap(), fair);
        }
    }

    #[test]
    fn the_opinion_after_a_repair_message_is_that_on_the_question() {
        let question = "Criteria: [\"a\",\"b\"]\n----- answer begins x -----\ntext\n----- answer ends x -----";
        let repaired = asked("judge", &[question, "Your answer cannot be used. Answer again."]);
        assert_eq!(answer(Judge::Fair, &repaired), answer(Judge::Fair, &asked("judge", &[question])));
        assert_eq!(question_of(&repaired), question);
        assert_eq!(answer(Judge::MalformedUntilTold, &repaired), answer(Judge::Fair, &repaired));
        assert_eq!(said(Judge::MalformedUntilTold, question), said(Judge::Malformed, question));
        assert_eq!(answer(Judge::Fair, &asked("judge", &["What is the time?"])), None);
    }

    #[test]
    fn each_model_has_opinions_of_its_own_with_and_without_the_prefix() {
        let of = |model: &str| {
            let texts: Vec<_> = (0..20).map(|number| format!("{number}\nCriteria: [\"a\"]")).collect();
            texts.iter().map(|text| answer(Judge::Fair, &asked(model, &[text]))).collect::<Vec<_>>()
        };
        assert_eq!(of("sandbox/judge-1"), of("judge-1"));
        assert_ne!(of("judge-2"), of("judge-1"));
    }
}
