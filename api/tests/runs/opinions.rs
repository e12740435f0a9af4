//! What the sandbox's judges think of a text, worked out once more by the rules of its README and not by its code: a judge that
//! gave another score or vote was shown another text. And what stands in the frames of a prompt, as a strict reader finds it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use acm2_domain::content_hash::ContentHash;
use serde_json::Value;

/// The answers of a run by the keys of their tasks.
pub(crate) type Texts = BTreeMap<String, String>;

/// The texts of a run's results.
pub(crate) fn texts_of(run: &Value) -> Texts {
    let results = run["results"].as_array().unwrap().iter();
    let text = |result: &Value| {
        (result["key"].as_str().unwrap().to_owned(), result["text"].as_str().unwrap_or_default().to_owned())
    };
    results.map(text).collect()
}

/// Compares every judgement about a subject with what its judge must think of the texts that it was to be shown; how many there
/// are of each stage.
pub(crate) fn check_judgements(item: &Value, texts: &Texts) -> [usize; 4] {
    let scores =
        item["evaluate"]["sheets"].as_array().map_or(0, |sheets| sheets.iter().map(|s| check_sheet(s, texts)).sum());
    let votes = |stage: &str| {
        let votes = item[stage]["votes"].as_array().map_or(&[][..], Vec::as_slice);
        for vote in votes {
            check_vote(vote, texts);
        }
        votes.len()
    };
    let rankings = item["review"]["rankings"].as_array().map_or(&[][..], Vec::as_slice);
    for ranking in rankings {
        check_ranking(ranking, texts);
    }
    [scores, votes("pairwise"), rankings.len(), votes("final_pairwise")]
}

fn check_sheet(sheet: &Value, texts: &Texts) -> usize {
    let (judge, answer) = (model_of(&sheet["judge"]), text(&sheet["candidate"], texts));
    let scores = sheet["scores"].as_array().unwrap();
    for score in scores {
        let criterion = score["criterion"].as_str().unwrap();
        assert_eq!(score["score"], hash(&["score", judge, criterion, answer]) % 5 + 1, "{sheet}");
    }
    scores.len()
}

fn check_vote(vote: &Value, texts: &Texts) {
    let judge = model_of(&vote["judge"]);
    let [first, second] = ["first", "second"].map(|place| merit(judge, text(&vote[place], texts)));
    assert_eq!(vote["winner"], vote[if first >= second { "first" } else { "second" }], "{vote}");
}

fn check_ranking(ranking: &Value, texts: &Texts) {
    let reviewer = model_of(&ranking["reviewer"]);
    let order: Vec<&Value> = ranking["order"].as_array().unwrap().iter().collect();
    let mut expected = order.clone();
    expected.sort_by_key(|key| Reverse(merit(reviewer, text(key, texts))));
    assert_eq!(order, expected, "{ranking}");
}

/// The model's name as it was sent.
fn model_of(judge: &Value) -> &str {
    judge.as_str().unwrap().split_once('/').unwrap().1
}

fn text<'a>(key: &Value, texts: &'a Texts) -> &'a str {
    texts[key.as_str().unwrap()].trim()
}

fn merit(judge: &str, text: &str) -> u64 {
    hash(&["merit", judge, text])
}

/// The first eight bytes of the SHA-256 of the parts, each with its length before it.
fn hash(parts: &[&str]) -> u64 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    u64::from_be_bytes(ContentHash::of(bytes).bytes()[..8].try_into().unwrap())
}

/// The frames of a prompt, in order, by name and content. A frame ends at its own mark only, so nothing within one is another.
pub(crate) fn frames(prompt: &str) -> Vec<(&str, &str)> {
    let (mut frames, mut rest) = (Vec::new(), prompt);
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        let begins = line.strip_prefix("----- ").and_then(|line| line.strip_suffix(" -----")?.split_once(" begins "));
        let Some((name, mark)) = begins else { continue };
        if let Some((content, behind)) = after.split_once(&format!("\n----- {name} ends {mark} -----\n")) {
            frames.push((name, content));
            rest = behind;
        }
    }
    frames
}
