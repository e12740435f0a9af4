//! The pipeline against a Journal in memory: what is asked, in which order, and what is left out where something is missing.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::recorder::Recorder;
use super::*;
use crate::content_hash::ContentHash;
use crate::journal::TaskKey;
use crate::judging::Expectation;
use crate::prices::Prices;
use crate::run::NewRun;

fn spec(mut body: Value) -> RunSpec {
    let object = body.as_object_mut().unwrap();
    object.entry("prompt").or_insert(json!("hi"));
    object.entry("concurrency").or_insert(json!(1));
    serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
}

/// What was planned; never more than was counted.
fn finish(journal: &Recorder, spec: &RunSpec) {
    assert!(plan(spec).len() as u64 <= count(spec));
    assert_eq!(run(journal, spec).now_or_never(), Some(Ok(())));
}

fn keys(spec: &RunSpec) -> BTreeSet<String> {
    plan(spec).iter().map(|task| task.key.to_string()).collect()
}

/// Three models, two judges that score, pairs among all.
fn judged(models: &[&str], pairwise: &Value) -> RunSpec {
    spec(json!({"models": models, "stages": {
        "evaluate": {"judges": ["sandbox/judge-4", "sandbox/judge-2"], "criteria": ["wit"]}, "pairwise": pairwise,
    }}))
}

#[test]
fn every_model_is_asked_in_every_iteration_even_if_one_fails() {
    let journal = Recorder::default();
    let spec = spec(json!({"models": ["sandbox/fails", "sandbox/echo"], "iterations": 2}));
    finish(&journal, &spec);
    let expected = ["generate/prompt/m0/1", "generate/prompt/m0/2", "generate/prompt/m1/1", "generate/prompt/m1/2"];
    assert_eq!(journal.asked.into_inner().unwrap(), expected);
    assert_eq!(plan(&spec).iter().map(|task| task.key.to_string()).collect::<Vec<_>>(), expected);
}

#[test]
fn a_stop_ends_the_pipeline() {
    let journal = Recorder::default();
    let spec = spec(json!({"models": ["sandbox/stops", "sandbox/echo"]}));
    assert_eq!(run(&journal, &spec).now_or_never(), Some(Err(Stopped)));
    assert_eq!(journal.asked.into_inner().unwrap().len(), 1);
}

#[test]
fn every_document_has_its_own_lane_and_is_read_once() {
    let journal = Recorder::default();
    let documents = json!([{"name": "a", "text": "one"}, {"name": "b", "text": "two"}]);
    let spec = spec(json!({"models": ["sandbox/fails", "sandbox/echo"], "iterations": 2, "documents": documents}));
    finish(&journal, &spec);
    let mut expected = Vec::new();
    for document in &spec.documents {
        expected.push(format!("text {}", document.hash));
        for (model, iteration) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
            expected.push(format!("generate/{}/m{model}/{iteration}", document.id));
        }
    }
    assert_eq!(*journal.asked.lock().unwrap(), expected);
    let resumed = journal.resumed();
    finish(&resumed, &spec);
    assert_eq!(resumed.asked.into_inner().unwrap(), Vec::<String>::new(), "nothing is asked or read again");
}

#[test]
fn an_answer_is_judged_as_soon_as_it_is_there_and_what_was_planned_is_what_happens() {
    let journal = Recorder::default();
    let spec = judged(&["sandbox/a", "sandbox/b", "sandbox/c"], &json!({}));
    finish(&journal, &spec);
    let asked = journal.asked.lock().unwrap().clone();
    let first =
        ["generate/prompt/m0/1", "evaluate/prompt/m0.1/j0/1", "evaluate/prompt/m0.1/j1/1", "generate/prompt/m1/1"];
    assert_eq!(asked[..4], first);
    // 3 answers, 3 x 2 scores, 3 pairs x 2 orders x 2 judges.
    assert_eq!((asked.len(), keys(&spec)), (3 + 6 + 12, asked.iter().cloned().collect()));
    let call = &journal.calls.lock().unwrap()["pairwise/prompt/p0-2/ba/j1/1"];
    assert_eq!(call.model, "judge-2");
    let text = &call.messages[0].content;
    assert!(text.find("\nc\n").unwrap() < text.find("\na\n").unwrap(), "the other one is shown first: {text}");
}

#[test]
fn the_size_of_a_judges_call_is_known_but_for_the_answers() {
    let journal = Recorder::default();
    let stages = json!({"evaluate": {"judges": ["sandbox/judge-4"], "instructions": "x"}, "pairwise": {}});
    let documents = json!([{"name": "é", "text": "one"}, {"name": "b", "text": "two"}]);
    let spec =
        spec(json!({"models": ["sandbox/a", "sandbox/b"], "system": "s", "documents": documents, "stages": stages}));
    finish(&journal, &spec);
    for task in plan(&spec) {
        let call = journal.calls.lock().unwrap()[task.key.as_str()].clone();
        assert_eq!(task.repair, call.expects.as_ref().map(Expectation::repair_size), "{}", task.key);
        let size = call.size();
        // Each answer is one letter.
        assert_eq!(
            (size.bytes, size.messages),
            (task.size.bytes + u64::from(task.reads), task.size.messages),
            "{}",
            task.key
        );
    }
}

#[test]
fn what_is_about_a_missing_answer_is_missing_and_the_rest_goes_on() {
    let journal = Recorder::default();
    let spec = judged(&["sandbox/a", "sandbox/fails", "sandbox/c"], &json!({}));
    finish(&journal, &spec);
    let outcome = journal.outcome();
    assert_eq!(outcome.keys().cloned().collect::<BTreeSet<_>>(), keys(&spec), "every task is settled");
    let lacking: Vec<&str> =
        outcome.iter().filter(|(_, told)| told.contains("InputMissing")).map(|(key, _)| &**key).collect();
    let about_it = |key: &&str| key.contains("/m1.1/") || key.contains("/p0-1/") || key.contains("/p1-2/");
    assert_eq!((lacking.len(), lacking.iter().all(about_it)), (2 + 8, true), "{lacking:?}");
    assert_eq!(outcome["pairwise/prompt/p0-2/ab/j0/1"], r#"{"winner": "A", "reason": "the first"}"#);
}

#[test]
fn only_the_best_are_compared_where_that_is_asked() {
    let models = ["sandbox/a", "sandbox/fails", "sandbox/c", "sandbox/d"];
    let spec = judged(&models, &json!({"top_n": 2, "both_orders": false}));
    let pairwise = spec.stages.pairwise.clone().unwrap();
    let journal = Recorder::default();
    finish(&journal, &spec);
    let subject = Subject { document_index: None };
    let drafts = generate::drafts(&spec, subject);
    let find = |key: &TaskKey, question: Option<ContentHash>| {
        journal.find(key, question).and_then(Result::ok).map(|answer| answer.text)
    };
    let slots = pairwise.slots(&spec, subject, &drafts, &find);
    let tags: Vec<_> = slots.standing.iter().flatten().map(|slot| slot.draft.tag.as_str()).collect();
    // Of equal means the first in the list of the run.
    assert_eq!(tags, ["m0.1", "m2.1"]);
    assert_eq!(keys(&spec), journal.outcome().keys().cloned().collect());
}

#[test]
fn a_retry_asks_anew_only_what_has_become_another_question() {
    let stages = json!({"top_n": 2, "both_orders": false});
    let of = |second: &str| judged(&["sandbox/a", second, "sandbox/c"], &stages);
    let journal = Recorder::default();
    finish(&journal, &of("sandbox/fails"));
    // It fails again: the best are the same, and nothing that was answered is asked again.
    let again = journal.retried();
    finish(&again, &of("sandbox/fails"));
    let asked = again.asked.lock().unwrap().clone();
    let lacking = ["generate/prompt/m1/1", "fail evaluate/prompt/m1.1/j0/1", "fail evaluate/prompt/m1.1/j1/1"];
    assert_eq!(asked, lacking);
    // Its answer comes, and is one of the best: the votes are about another pair.
    let answered = again.retried();
    finish(&answered, &of("sandbox/b"));
    let asked: Vec<String> = answered.asked.lock().unwrap().clone();
    let votes = ["pairwise/prompt/p0-1/ab/j0/1", "pairwise/prompt/p0-1/ab/j1/1"];
    assert_eq!(
        asked.iter().filter(|key| key.starts_with("pairwise")).collect::<Vec<_>>(),
        votes.iter().collect::<Vec<_>>()
    );
    assert_eq!(asked.len(), 1 + 2 + 2, "{asked:?}");
    // What may be done anew is what a budget reserves for.
    assert_eq!(outdated(&of("sandbox/fails"), |key| !key.contains("/m1")), votes);
}

#[test]
fn judges_are_kept_from_their_own_family_where_that_is_asked() {
    let body = |top_n: Option<u32>| {
        json!({"models": ["openai/gpt-4o", "sandbox/a", "sandbox/b"], "stages": {
            "evaluate": {"judges": ["openai/gpt-4o", "sandbox/judge-3"], "criteria": ["wit"]},
            "pairwise": {"exclude_own_family": true, "both_orders": false, "top_n": top_n},
        }})
    };
    // All pairs: the sandbox's judge may judge none, the other one pair.
    let all = spec(body(None));
    let journal = Recorder::default();
    finish(&journal, &all);
    let votes: Vec<String> = keys(&all).into_iter().filter(|key| key.starts_with("pairwise")).collect();
    assert_eq!(votes, ["pairwise/prompt/p1-2/ab/j0/1"]);
    assert_eq!(keys(&all), journal.outcome().keys().cloned().collect());
    // The best two: nobody knows beforehand which these are, so that what the first judge may not judge is settled without a call.
    let best = spec(body(Some(2)));
    let journal = Recorder::default();
    finish(&journal, &best);
    let asked = journal.asked.lock().unwrap().clone();
    let (kept, called): (Vec<&String>, Vec<&String>) =
        asked.iter().filter(|key| key.contains("pairwise")).partition(|key| key.starts_with("keep "));
    // The sandbox's judge has no task: one of any two is its own. The other one is kept from the one of the two that is.
    assert_eq!((kept.len(), called.len()), (1, 0));
    assert_eq!(kept[0], "keep pairwise/prompt/p0-1/ab/j0/1");
    assert_eq!(keys(&best), journal.outcome().keys().cloned().collect());
}

#[test]
fn what_is_wrong_with_stages_is_told_at_its_place() {
    let wrong = |stages: Value| -> Vec<String> {
        let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "stages": stages});
        let compiled = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in());
        compiled.unwrap_err().into_iter().map(|error| error.pointer).collect()
    };
    let evaluate = json!({"judges": ["nobody/x"], "criteria": ["a", "A"], "iterations": 0, "instructions": " "});
    let expected = ["/judges/0", "/criteria/1/name", "/iterations", "/instructions"];
    assert_eq!(wrong(json!({"evaluate": evaluate})), expected.map(|place| format!("/stages/evaluate{place}")));
    assert_eq!(wrong(json!({"evaluate": {"judges": []}})), ["/stages/evaluate/judges"]);
    assert_eq!(
        wrong(json!({"pairwise": {"top_n": 1}})),
        ["/stages/pairwise/top_n", "/stages/pairwise/top_n", "/stages/pairwise", "/stages/pairwise/judges"]
    );
    for stage in ["pairwise", "final_pairwise"] {
        let stages = json!({stage: {}, "combine": {"models": ["sandbox/a"]}});
        let body = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/a"], "stages": stages});
        let errors = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap_err();
        assert_eq!((errors.len(), errors[0].pointer.as_str()), (1, &*format!("/stages/{stage}/judges")));
        assert!(errors[0].detail.contains("are missing") && errors[0].detail.contains("evaluate"), "{errors:?}");
    }
    let set = json!({"judges": ["sandbox/echo"], "criteria_set_id": CriteriaSetId::generate()});
    assert_eq!(wrong(json!({"evaluate": set})), ["/stages/evaluate/criteria_set_id"]);
}

#[test]
fn a_run_has_so_many_tasks_at_most() {
    let models = vec!["sandbox/echo"; 50];
    let pairwise = json!({"judges": vec!["sandbox/judge"; 20], "iterations": 10});
    let body = json!({"prompt": "hi", "models": models, "iterations": 10, "stages": {"pairwise": pairwise}});
    // They are counted and not made: this many would not fit into memory.
    let errors = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap_err();
    assert_eq!(errors[0].pointer, "/stages");
}
