//! Researchers: models that plan queries, and cite sources in what they write.
//! `reply` asks for the text. It must not know wires or HTTP, nor anything of those who ask but the lines that the README tells.

use serde_json::json;

use crate::{judge::Parts, reply::Asked};

/// What kind of researcher it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Researcher {
    /// Does what is asked.
    Fair,
    /// Plans one query only.
    Few,
    /// Cites a source that there is not.
    Wild,
    /// Cites nothing.
    Mute,
}

/// What the researcher says; nothing where it is not asked to research.
pub(crate) fn answer(researcher: Researcher, asked: &Asked) -> Option<String> {
    let parts = asked.questions.iter().rev().map(|text| Parts::of(text));
    parts.into_iter().find_map(|parts| queries(researcher, &parts).or_else(|| citing(researcher, &parts)))
}

/// What stands behind the last line that begins so.
fn told<'a>(parts: &Parts<'a>, name: &str) -> Option<&'a str> {
    parts.lines.iter().rev().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn queries(researcher: Researcher, parts: &Parts<'_>) -> Option<String> {
    let most: usize = told(parts, "Queries: ")?.parse().ok()?;
    let question = parts.frame("question").unwrap_or_default();
    let words: Vec<&str> = question.split_whitespace().take(12).collect();
    let round = told(parts, "Round: ").map_or_else(String::new, |round| format!(" round {round}"));
    let count = if researcher == Researcher::Few { 1 } else { most };
    let queries: Vec<String> = (1..=count).map(|number| format!("{}{round} part {number}", words.join(" "))).collect();
    Some(json!({"queries": queries}).to_string())
}

fn citing(researcher: Researcher, parts: &Parts<'_>) -> Option<String> {
    let numbers: Vec<u32> = serde_json::from_str(told(parts, "Cite: ")?).ok()?;
    let cited = numbers.iter().map(|number| format!("The sandbox has read source {number} [{number}]."));
    let text = match researcher {
        Researcher::Mute => "The sandbox cites nothing.".to_owned(),
        Researcher::Fair | Researcher::Few => cited.collect::<Vec<_>>().join(" "),
        Researcher::Wild => format!("{} And one more [99].", cited.collect::<Vec<_>>().join(" ")),
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn said(researcher: Researcher, prompt: &str) -> Option<String> {
        let asked = Asked {
            model: "researcher".to_owned(),
            texts: vec![prompt.to_owned()],
            questions: vec![prompt.to_owned()],
            schema: None,
            picture: None,
            stream: false,
        };
        answer(researcher, &asked)
    }

    #[test]
    fn queries_are_made_of_the_question_and_no_more_than_asked_for() {
        let prompt = "Plan.\n----- question begins x -----\nwhy cats\nQueries: 9\n----- question ends x -----\nRound: 2\nQueries: 2\n";
        let queries: Value = serde_json::from_str(&said(Researcher::Fair, prompt).unwrap()).unwrap();
        let [first, second] = ["why cats Queries: 9 round 2 part 1", "why cats Queries: 9 round 2 part 2"];
        assert_eq!(queries, json!({"queries": [first, second]}));
        let few: Value = serde_json::from_str(&said(Researcher::Few, prompt).unwrap()).unwrap();
        assert_eq!(few, json!({"queries": [first]}));
    }

    #[test]
    fn sources_are_cited_as_its_kind_does() {
        let prompt = "Write.\nCite: [2,5]";
        let said = |researcher| said(researcher, prompt).unwrap();
        assert_eq!(said(Researcher::Fair), "The sandbox has read source 2 [2]. The sandbox has read source 5 [5].");
        assert!(said(Researcher::Wild).ends_with("[99]."));
        assert!(!said(Researcher::Mute).contains('['));
        assert_eq!(super::tests::said(Researcher::Fair, "hello"), None);
    }
}
