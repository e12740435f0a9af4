//! Research against a Journal in memory: what is asked, what is left out, and what a retry does anew.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::recorder::Recorder;
use super::*;
use crate::judging::Expectation;
use crate::prices::Prices;
use crate::run::NewRun;

fn spec(models: &[&str], research: &Value, more: &Value) -> RunSpec {
    let mut body = json!({
        "prompt": "why cats purr", "models": models, "concurrency": 1, "generator": "research", "research": research,
    });
    body["research"]["provider"] = json!("tavily");
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
}

fn finish(journal: &Recorder, spec: &RunSpec) {
    assert_eq!(run(journal, spec).now_or_never(), Some(Ok(())));
}

fn keys(spec: &RunSpec) -> BTreeSet<String> {
    plan(spec).iter().map(|task| task.key.to_string()).collect()
}

fn settled(journal: &Recorder) -> BTreeSet<String> {
    journal.outcome().keys().cloned().collect()
}

const REPORT: &str = "generate/prompt/m0/1";

#[test]
fn what_was_planned_is_what_happens_and_the_report_lists_what_it_cites() {
    let journal = Recorder::default();
    let spec = spec(&["sandbox/a"], &json!({"breadth": 3, "depth": 2, "pages": 2}), &Value::Null);
    finish(&journal, &spec);
    // In each round a plan, and for each query a search, two pages and notes; then the writing and the report.
    assert_eq!((keys(&spec).len(), keys(&spec)), (2 * (1 + 3 * 4) + 2, settled(&journal)));
    let outcome = journal.outcome();
    // The first query takes the page that all find; what was found in the first round is not read again.
    let report = "a says so [1][2][3].\n\n## Sources\n\n- [1] same: <https://a.example/same>\n- [2] one/a: \
                  <https://a.example/one/a>\n- [3] two/a: <https://a.example/two/a>\n";
    assert_eq!(outcome[REPORT], report);
    assert!(
        outcome["generate/prompt/m0/1/page/1.2.2"].contains("unavailable"),
        "a page that is not there is no failure"
    );
    for key in ["search/1.3", "page/1.3.1", "notes/1.3", "notes/2.1"] {
        assert!(!journal.calls.lock().unwrap().contains_key(&format!("{REPORT}/{key}")), "{key}");
    }
    let resumed = journal.resumed();
    finish(&resumed, &spec);
    assert_eq!(resumed.asked.into_inner().unwrap(), Vec::<String>::new(), "nothing is asked or read again");
}

#[test]
fn pages_stand_in_frames_and_numbers_are_those_of_their_places() {
    let journal = Recorder::default();
    let spec = spec(&["sandbox/a"], &json!({"breadth": 2, "pages": 3}), &Value::Null);
    finish(&journal, &spec);
    let calls = journal.calls.lock().unwrap();
    let notes = &calls["generate/prompt/m0/1/notes/1.2"].messages[0].content;
    assert!(notes.contains("Page [3], from \"https://a.example/two/a\", stands between"), "{notes}");
    assert!(notes.contains("\ntext of https://a.example/two/a\n----- page ends "), "{notes}");
    let write = &calls["generate/prompt/m0/1/write/1"];
    assert!(write.messages[0].content.starts_with("why cats purr\n\n"));
    assert!(write.messages[0].content.contains("\nCite: [1,2,3]\n"));
    let search = &calls["generate/prompt/m0/1/search/1.1"];
    assert_eq!((search.provider.as_str(), search.messages[0].content.as_str()), ("tavily", "one"));
}

#[test]
fn those_who_take_notes_are_told_the_task_with_its_document() {
    for prompt in ["", "Sum it up", &"Sum it up. ".repeat(1_000)] {
        let more = json!({"documents": [{"name": "a", "text": "one"}]});
        let mut spec = spec(&["sandbox/a"], &json!({}), &more);
        // What a template is filled in to that has the document before its words, or nothing else.
        (spec.messages[0].content, spec.document_at) = (prompt.to_owned(), Some(0));
        let journal = Recorder::default();
        finish(&journal, &spec);
        let plan = plan(&spec);
        let notes = plan.iter().find(|task| task.key.as_str().ends_with("/notes/1.1")).unwrap();
        let call = journal.calls.lock().unwrap()[notes.key.as_str()].clone();
        let said = &call.messages[0].content;
        let asked = ["The document \"a\" stands", "begins", "\none\n", &prompt[..prompt.len().min(1_000)]];
        assert!(asked.iter().all(|words| said.contains(words)), "{said}");
        assert!(call.size().bytes <= notes.size.bytes, "{said}");
    }
}

#[test]
fn without_a_plan_all_that_rests_on_it_is_missing_and_others_go_on() {
    let journal = Recorder::default();
    let spec = spec(&["sandbox/fails", "sandbox/b"], &json!({}), &Value::Null);
    finish(&journal, &spec);
    assert_eq!(keys(&spec), settled(&journal));
    let outcome = journal.outcome();
    assert!(outcome.iter().all(|(key, told)| key.contains("/m1/") || told.starts_with('!')));
    assert!(outcome["generate/prompt/m1/1"].starts_with("b says so"));
}

#[test]
fn a_search_that_fails_takes_its_own_pages_with_it_and_a_retry_asks_for_what_is_missing() {
    let journal = Recorder::default();
    let judged = json!({"stages": {"evaluate": {"judges": ["sandbox/judge-4"], "criteria": ["wit"]}}});
    let spec = spec(&["sandbox/half"], &json!({"breadth": 2, "pages": 2}), &judged);
    finish(&journal, &spec);
    assert_eq!(keys(&spec), settled(&journal));
    let outcome = journal.outcome();
    let missing: Vec<&str> =
        outcome.iter().filter(|(_, told)| told.starts_with('!')).map(|(key, _)| key.as_str()).collect();
    let expected = ["notes/1.1", "page/1.1.1", "page/1.1.2", "search/1.1"];
    assert_eq!(missing, expected.map(|key| format!("{REPORT}/{key}")));
    assert!(outcome[REPORT].starts_with("half says so [1][2]."));
    let is_settled = |key: &str| outcome.get(key).is_some_and(|told| !told.starts_with('!'));
    let anew = [format!("{REPORT}/write/1"), REPORT.to_owned(), "evaluate/prompt/m0.1/j0/1".to_owned()];
    assert_eq!(outdated(&spec, is_settled), anew);
    // Where the search fails again, the report rests on the same pages and stays as it is.
    let again = journal.retried();
    finish(&again, &spec);
    let asked: Vec<String> =
        again.asked.lock().unwrap().iter().filter(|key| !key.starts_with("fail ")).cloned().collect();
    assert_eq!(asked, [format!("{REPORT}/search/1.1")]);
}

#[test]
fn a_retry_ends_as_if_the_search_had_never_failed() {
    let spec = spec(&["sandbox/flaky"], &json!({"breadth": 2, "depth": 2, "pages": 2}), &Value::Null);
    let undisturbed = Recorder::well();
    finish(&undisturbed, &spec);
    let journal = Recorder::default();
    finish(&journal, &spec);
    assert!(journal.outcome()[REPORT].contains("[2]"), "the other search is enough for a report");
    let again = journal.retried();
    finish(&again, &spec);
    // The pages of the second query have other numbers now, and one of them is another page.
    assert_eq!(again.outcome(), undisturbed.outcome());
    let notes = |journal: &Recorder| journal.calls.lock().unwrap()[&format!("{REPORT}/notes/1.2")].clone();
    assert_eq!(notes(&again).messages, notes(&undisturbed).messages);
}

#[test]
fn no_call_says_more_than_was_planned() {
    let journal = Recorder::default();
    let more = json!({"system": "s", "documents": [{"name": "é", "text": "one"}, {"name": "b", "text": "two"}]});
    let spec = spec(&["sandbox/a"], &json!({"breadth": 2, "depth": 3, "pages": 4}), &more);
    finish(&journal, &spec);
    for task in plan(&spec) {
        if let Some(call) = journal.calls.lock().unwrap().get(task.key.as_str()) {
            assert_eq!(task.repair, call.expects.as_ref().map(Expectation::repair_size), "{}", task.key);
            let size = call.size();
            let within = size.bytes <= task.size.bytes && size.messages <= task.size.messages;
            assert!(within, "{}: {size:?} is more than {:?}", task.key, task.size);
        }
    }
    assert_eq!(crate::estimate::estimate(&spec, &Prices::built_in()).calls, 2 * (3 * (1 + 2 * 2) + 1));
}

#[test]
fn a_search_is_priced_by_the_request_and_needs_a_price_under_a_ceiling() {
    let models = ["openai/gpt-4o"];
    let ceiling = json!({"max_cost_usd": "1"});
    let spec = spec(&models, &json!({"breadth": 2}), &ceiling);
    assert_eq!(spec.check_prices(&Prices::built_in()), Ok(()));
    let header =
        "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output";
    let without = Prices::parse(&format!("{header}\nopenai,gpt-4o,1,2,,,\n"), "2026-01-01").unwrap();
    assert_eq!(spec.check_prices(&without).unwrap_err().fields[0].pointer, "/research/provider");
}

#[test]
fn a_run_that_would_read_too_much_is_refused() {
    let body = json!({
        "prompt": "x", "models": vec!["sandbox/a"; 10], "iterations": 10, "generator": "research",
        "research": {"provider": "tavily", "breadth": 10, "depth": 3, "pages": 10},
    });
    let errors = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap_err();
    assert_eq!(errors[0].pointer, "/research");
}

#[test]
fn a_report_that_was_taken_over_is_judged_and_not_researched_again() {
    let source = spec(&["sandbox/a", "sandbox/fails"], &json!({"breadth": 1}), &Value::Null);
    let journal = Recorder::default();
    finish(&journal, &source);
    let report = journal.outcome()[REPORT].clone();
    let anew = json!({
        "answers_of": crate::ids::RunId::generate(),
        "stages": {"evaluate": {"judges": ["sandbox/judge-4"], "criteria": ["clarity"]}},
    });
    let anew: NewRun = serde_json::from_value(anew).unwrap();
    let over = anew.compile_over(&source, &Prices::built_in(), &crate::run::Material::default()).unwrap();
    let resumed = journal.resumed();
    finish(&resumed, &over);
    assert_eq!((keys(&over), &resumed.outcome()[REPORT]), (settled(&resumed), &report));
    let (judged, lacking) = ("evaluate/prompt/m0.1/j0/1", "fail evaluate/prompt/m1.1/j0/1");
    let asked: BTreeSet<String> = resumed.asked.into_inner().unwrap().into_iter().collect();
    assert_eq!(asked, [judged.to_owned(), lacking.to_owned()].into());
}
