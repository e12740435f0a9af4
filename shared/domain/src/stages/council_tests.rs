//! Review, combining and the final comparison against a Journal in memory: what is asked, of what, and what is left out where
//! something is missing.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::recorder::Recorder;
use super::*;
use crate::content_hash::ContentHash;
use crate::estimate::estimate;
use crate::journal::TaskKey;
use crate::judging::Expectation;
use crate::prices::Prices;
use crate::run::NewRun;

fn request(mut body: Value) -> NewRun {
    let object = body.as_object_mut().unwrap();
    object.entry("prompt").or_insert(json!("hi"));
    object.entry("concurrency").or_insert(json!(1));
    serde_json::from_value(body).unwrap()
}

fn spec(body: Value) -> RunSpec {
    request(body).compile(&Prices::built_in()).unwrap()
}

fn wrong(body: Value) -> Vec<String> {
    let errors = request(body).compile(&Prices::built_in()).unwrap_err();
    errors.into_iter().map(|error| error.pointer).collect()
}

fn finished(spec: &RunSpec) -> Recorder {
    let journal = Recorder::default();
    assert_eq!(run(&journal, spec).now_or_never(), Some(Ok(())));
    journal
}

fn keys(spec: &RunSpec) -> BTreeSet<String> {
    plan(spec).iter().map(|task| task.key.to_string()).collect()
}

/// The text of the one message of a call.
fn asked(journal: &Recorder, key: &str) -> String {
    journal.calls.lock().unwrap()[key].messages[0].content.clone()
}

/// The keys whose input is missing.
fn lacking(journal: &Recorder) -> Vec<String> {
    let outcome = journal.outcome().into_iter();
    outcome.filter(|(_, told)| told.contains("InputMissing")).map(|(key, _)| key).collect()
}

const THREE: [&str; 3] = ["sandbox/a", "sandbox/b", "sandbox/c"];

#[test]
fn a_council_reviews_and_its_chair_answers() {
    let spec = spec(json!({"models": THREE, "council": {"chair": "sandbox/chair"}}));
    let longhand = json!({"review": {}, "combine": {"strategy": "synthesis", "models": ["sandbox/chair"]}});
    assert_eq!(spec, self::spec(json!({"models": THREE, "stages": longhand})));
    let journal = finished(&spec);
    let expected = [
        "generate/prompt/m0/1",
        "generate/prompt/m1/1",
        "generate/prompt/m2/1",
        "review/prompt/r0/1",
        "review/prompt/r1/1",
        "review/prompt/r2/1",
        "combine/prompt/c0/1",
    ];
    assert_eq!(*journal.asked.lock().unwrap(), expected);
    assert_eq!(keys(&spec), expected.iter().map(|key| (*key).to_owned()).collect());
    assert_eq!(estimate(&spec, &Prices::built_in()).calls, 7);
    let review = asked(&journal, "review/prompt/r1/1");
    assert!(!review.contains("sandbox/"), "nobody is named: {review}");
    let chair = asked(&journal, "combine/prompt/c0/1");
    for (number, name) in (1..).zip(THREE) {
        assert!(chair.contains(&format!("Answer {number}, by \"{name}\", stands between")), "{chair}");
        assert!(chair.contains(&format!("Review {number}, by \"{name}\", stands between")), "{chair}");
    }
    assert_eq!(journal.outcome()["combine/prompt/c0/1"], "chair");
    let find = |key: &TaskKey, question: Option<ContentHash>| {
        journal.find(key, question).and_then(Result::ok).map(|answer| answer.text)
    };
    let subject = Subject { document_index: None };
    // The chair's text is the answer of the council, whomever the reviewers put first; no review is read to find it.
    let answer = final_answer(&spec, subject, &find).unwrap();
    assert_eq!(
        (&*answer.task_key, &*answer.model, &*answer.stage),
        ("combine/prompt/c0/1", "sandbox/chair", "combine")
    );
    assert_eq!(unjudged_final_answer(&spec, subject, &find), Some(answer));
    // Without it, or with a blank one, the best answer by the reviews is: that of the winner.
    for said in [None, Some(" \n".to_owned())] {
        let other = |key: &TaskKey, question: Option<ContentHash>| match find(key, question) {
            Some(text) if text == "chair" => said.clone(),
            text => text,
        };
        let winner = crate::judged::winner(&judgements(&spec, &other)[0]).unwrap();
        let answer = final_answer(&spec, subject, &other).unwrap();
        assert_eq!((&*answer.task_key, &*answer.stage), (&*winner.task_key, "generate"));
        assert_eq!(unjudged_final_answer(&spec, subject, &other), None);
    }
    let resumed = journal.resumed();
    assert_eq!(run(&resumed, &spec).now_or_never(), Some(Ok(())));
    assert_eq!(resumed.asked.into_inner().unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_reviewer_says_is_of_the_answers_that_it_was_shown() {
    let spec = spec(json!({"models": THREE, "stages": {"review": {"iterations": 2, "exclude_own": true}}}));
    let journal = finished(&spec);
    let find = |key: &TaskKey, question: Option<ContentHash>| {
        journal.find(key, question).and_then(Result::ok).map(|answer| answer.text)
    };
    let subject = Subject { document_index: None };
    let review = spec.stages.review.as_ref().unwrap();
    let reviews = review.reviews(&spec, subject, &find);
    let mut orders = BTreeSet::new();
    for reviewed in &reviews {
        let prompt = asked(&journal, reviewed.key.as_str());
        // The recorder ranks as it is shown.
        assert_eq!(reviewed.ranking.order.as_ref(), Some(&reviewed.shown));
        let places: Vec<usize> = reviewed
            .shown
            .iter()
            .map(|candidate| prompt.find(&format!("\n{}\n", ["a", "b", "c"][candidate.0 as usize])).unwrap())
            .collect();
        assert!(places.is_sorted() && places.len() == 2, "{places:?}");
        let own = crate::ranking::Candidate(reviewed.ranking.reviewer.0);
        assert!(!reviewed.shown.contains(&own), "its own answer is left out");
        orders.insert(reviewed.shown.clone());
    }
    assert!(orders.len() > 3, "the order differs from time to time: {orders:?}");
    assert_eq!(super::review::table(&reviews).given().count(), 6);
}

#[test]
fn a_failed_answer_is_not_reviewed_and_two_are_needed() {
    let body = |models: &[&str], exclude_own: bool| {
        json!({"models": models, "stages": {"review": {"reviewers": ["sandbox/b", "sandbox/x"], "exclude_own": exclude_own},
            "combine": {"strategy": "synthesis", "models": ["sandbox/chair"]}}})
    };
    let two_left = finished(&spec(body(&["sandbox/a", "sandbox/fails", "sandbox/b"], false)));
    assert!(lacking(&two_left).is_empty());
    assert!(asked(&two_left, "review/prompt/r0/1").contains("Rank: [\"A\",\"B\"]"));
    assert!(!asked(&two_left, "combine/prompt/c0/1").contains("sandbox/fails"));
    let one_for_b = finished(&spec(body(&["sandbox/a", "sandbox/fails", "sandbox/b"], true)));
    assert_eq!(lacking(&one_for_b), ["review/prompt/r0/1"]);
    let spec = spec(body(&["sandbox/a", "sandbox/fails"], false));
    let one_left = finished(&spec);
    assert_eq!(lacking(&one_left), ["combine/prompt/c0/1", "review/prompt/r0/1", "review/prompt/r1/1"]);
    assert_eq!(one_left.outcome().into_keys().collect::<BTreeSet<_>>(), keys(&spec));
}

#[test]
fn the_best_by_all_that_was_said_are_merged_and_compared_with_what_came_of_them() {
    // The one judge gives all the same score and prefers what is shown first, which is never the same answer twice.
    let spec = spec(json!({"models": ["sandbox/a", "sandbox/b", "sandbox/c"], "stages": {
        "evaluate": {"judges": ["sandbox/judge-4"], "criteria": ["wit"]},
        "pairwise": {"both_orders": false},
        "combine": {"models": ["sandbox/merged", "sandbox/fails"]},
        "final_pairwise": {"both_orders": false},
    }}));
    let journal = finished(&spec);
    assert_eq!(journal.outcome().into_keys().collect::<BTreeSet<_>>(), keys(&spec));
    let merge = asked(&journal, "combine/prompt/c0/1");
    let subject = Subject { document_index: None };
    let find = |key: &TaskKey, question: Option<ContentHash>| {
        journal.find(key, question).and_then(Result::ok).map(|answer| answer.text)
    };
    let best = spec.stages.combine.as_ref().unwrap().best(&spec, subject, &find);
    let texts: Vec<String> = best.iter().filter_map(|draft| find(&draft.key, None)).collect();
    assert_eq!(texts.len(), 2);
    assert!(merge.find(&format!("\n{}\n", texts[0])) < merge.find(&format!("\n{}\n", texts[1])), "{merge}");
    // Places: two answers, two merged texts of which one failed; it leaves 3 of 6 pairs missing.
    let slots = spec.stages.final_pairwise.as_ref().unwrap().slots(&spec, subject, &find);
    let tags: Vec<Option<&str>> =
        slots.standing.iter().map(|slot| slot.as_ref().map(|slot| &*slot.draft.tag)).collect();
    assert_eq!((tags.len(), tags[2], tags[3]), (4, Some("c0"), None));
    let lacking = lacking(&journal);
    assert_eq!((lacking.len(), lacking.iter().all(|key| key.starts_with("final_pairwise/prompt/p"))), (3, true));
    let votes = spec.stages.final_pairwise.as_ref().unwrap().votes(&spec, subject, &slots, &find);
    assert_eq!(votes.iter().filter(|cast| cast.vote.choice.is_some()).count(), 3);
    let heard = judgements(&spec, &find).remove(0);
    let view = crate::judged::Judging::of(&heard, crate::judged::Detail::ALL).unwrap();
    assert_eq!(view.candidates[3].task_key, "combine/prompt/c0/1");
    assert_eq!(view.winner.unwrap().basis, crate::ranking::cascade::Basis::FinalPairwise);
    assert_eq!(view.final_pairwise.unwrap().coverage.missing, 3, "votes on a text that is not there are told");
    // Each of the three texts wins once there; then the stages before decide.
    let answer = final_answer(&spec, subject, &find).unwrap();
    assert_eq!((&answer.task_key, unjudged_final_answer(&spec, subject, &find)), (&best[0].key.to_string(), None));
}

#[test]
fn without_judges_the_final_answer_is_the_first_that_was_written() {
    let body =
        json!({"models": ["sandbox/fails", "sandbox/b", "sandbox/c"], "stages": {"title": {"model": "sandbox/t"}}});
    let spec = spec(body);
    let journal = finished(&spec);
    let find = |key: &TaskKey, question: Option<ContentHash>| {
        journal.find(key, question).and_then(Result::ok).map(|answer| answer.text)
    };
    let subject = Subject { document_index: None };
    let answer = final_answer(&spec, subject, &find).unwrap();
    assert_eq!((&*answer.task_key, &*answer.model), ("generate/prompt/m1/1", "sandbox/b"));
    assert_eq!(final_answer(&spec, subject, &|_, _| None), None);
    // What a provider says to an image is no answer.
    let images = self::spec(json!({"models": ["sandbox/image"], "generator": "image"}));
    assert_eq!(final_answer(&images, subject, &|_, _| Some("a fox".to_owned())), None);
}

#[test]
fn what_needs_no_model_costs_no_call() {
    for (strategy, expected) in [("best_of", "a"), ("sections", "a"), ("concatenation", "a\n\n---\n\nb")] {
        let spec = spec(json!({"models": THREE, "stages": {"combine": {"strategy": strategy}}}));
        let journal = finished(&spec);
        assert_eq!(journal.outcome()["combine/prompt/c0/1"], expected);
        assert_eq!(journal.calls.lock().unwrap().len(), 3);
        assert_eq!(estimate(&spec, &Prices::built_in()).calls, 3);
        assert_eq!(keys(&spec).len(), 4);
    }
    let none =
        spec(json!({"models": ["sandbox/fails", "sandbox/fails"], "stages": {"combine": {"strategy": "best_of"}}}));
    assert_eq!(lacking(&finished(&none)), ["combine/prompt/c0/1"]);
}

#[test]
fn the_size_of_each_call_is_known_but_for_what_it_reads() {
    let documents = json!([{"name": "é", "text": "one"}, {"name": "b", "text": "two"}]);
    let stages = json!({"review": {"exclude_own": true, "instructions": "x"},
        "combine": {"models": ["sandbox/m"]}, "final_pairwise": {"judges": ["sandbox/judge"]}});
    let merged = spec(json!({"models": THREE, "system": "s", "documents": documents, "stages": stages}));
    let council = spec(json!({"models": THREE, "documents": documents, "council": {"chair": "sandbox/m"}}));
    let stages = json!({"combine": {"strategy": "concatenation", "top_n": 3},
        "final_pairwise": {"judges": ["sandbox/judge"], "top_n": 1}});
    // A vote on what is put together reads all of it, and what stands between.
    let together = spec(json!({"models": THREE, "documents": documents, "stages": stages}));
    for spec in [merged, council, together] {
        let journal = finished(&spec);
        for task in plan(&spec).into_iter().filter(|task| task.model.is_some()) {
            let call = journal.calls.lock().unwrap()[task.key.as_str()].clone();
            assert_eq!(task.repair, call.expects.as_ref().map(Expectation::repair_size), "{}", task.key);
            let size = call.size();
            // Each text is one letter; the recorder's reviews say nothing of answers, of which the plan has the frame.
            let reads_reviews =
                task.stage == "combine" && spec.stages.review.is_some() && spec.stages.final_pairwise.is_none();
            if reads_reviews {
                assert!(size.bytes <= task.size.bytes + u64::from(task.reads), "{}", task.key);
            } else {
                assert_eq!(size.bytes, task.size.bytes + u64::from(task.reads), "{}", task.key);
            }
        }
    }
}

#[test]
fn a_retry_that_brings_an_answer_does_anew_what_rests_on_all() {
    let spec =
        spec(json!({"models": ["sandbox/a", "sandbox/fails", "sandbox/c"], "council": {"chair": "sandbox/chair"}}));
    let settled = finished(&spec).outcome();
    let is_answered = |key: &str| settled.get(key).is_some_and(|told| !told.starts_with('!'));
    let outdated: BTreeSet<String> = outdated(&spec, is_answered).into_iter().collect();
    let expected = ["combine/prompt/c0/1", "review/prompt/r0/1", "review/prompt/r2/1"];
    assert_eq!(outdated, expected.map(str::to_owned).into());
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let stages = |models: &[&str], stages: Value| wrong(json!({"models": models, "stages": stages}));
    assert_eq!(stages(&THREE[..1], json!({"review": {}})), ["/stages/review"]);
    assert_eq!(stages(&THREE[..2], json!({"review": {"exclude_own": true}})), ["/stages/review/exclude_own"]);
    assert_eq!(stages(&THREE, json!({"review": {"reviewers": ["x/y"], "iterations": 0}})).len(), 2);
    let combine = json!({"strategy": "sections", "models": ["sandbox/m"], "top_n": 1, "instructions": "x"});
    let places = ["/models", "/instructions", "/top_n"].map(|place| format!("/stages/combine{place}"));
    assert_eq!(stages(&THREE, json!({ "combine": combine })), places);
    assert_eq!(stages(&THREE, json!({"combine": {}})), ["/stages/combine/models"]);
    assert_eq!(stages(&THREE, json!({"combine": {"strategy": "best_of", "top_n": 3}})), ["/stages/combine/top_n"]);
    let last = json!({"judges": ["sandbox/judge"], "top_n": 3});
    assert_eq!(
        stages(&THREE, json!({ "final_pairwise": last })),
        ["/stages/final_pairwise", "/stages/final_pairwise/top_n"]
    );
    let merged = json!({"combine": {"models": ["sandbox/m"]}, "final_pairwise": last});
    assert_eq!(stages(&THREE, merged), ["/stages/final_pairwise/top_n"]);
    assert_eq!(wrong(json!({"models": THREE, "council": {"chair": "x/y"}})), ["/council/chair"]);
    assert_eq!(wrong(json!({"models": ["sandbox/a"], "council": {"chair": "sandbox/a"}})), ["/council"]);
    let both =
        json!({"models": THREE, "council": {"chair": "sandbox/a"}, "stages": {"combine": {"models": ["sandbox/m"]}}});
    assert_eq!(wrong(both), ["/council"]);
}

#[test]
fn a_council_under_a_preset_is_checked_before_its_models_are_known() {
    let body = json!({"preset_id": crate::ids::PresetId::generate(), "council": {"chair": "sandbox/a"}});
    let asked: NewRun = serde_json::from_value(body).unwrap();
    assert_eq!(asked.check(&Prices::built_in()), []);
}

#[test]
fn which_answers_are_the_best_is_worked_out_where_it_keeps_nobody_waiting() {
    use std::sync::atomic::Ordering;
    let computed = |stages: Value| {
        let spec = spec(json!({"models": THREE, "stages": stages}));
        finished(&spec).computed.load(Ordering::Relaxed)
    };
    let evaluate = json!({"judges": ["sandbox/judge-3"], "criteria": ["wit"]});
    let merge = json!({"models": ["sandbox/chair"]});
    assert_eq!(computed(json!({"evaluate": evaluate, "pairwise": {}})), 0, "all are compared");
    assert_eq!(computed(json!({"evaluate": evaluate, "pairwise": {"top_n": 2}})), 1);
    assert_eq!(computed(json!({"evaluate": evaluate, "pairwise": {"top_n": 2}, "combine": merge})), 2);
    let all = json!({"evaluate": evaluate, "pairwise": {"top_n": 2}, "combine": merge, "final_pairwise": {}});
    assert_eq!(computed(all), 3);
}

#[test]
fn what_chairs_read_is_put_together_once_for_all_of_them() {
    use std::sync::atomic::Ordering;
    let looked_up = |chairs: &[&str]| {
        let combine = json!({"strategy": "synthesis", "models": chairs});
        let spec = spec(json!({"models": THREE, "stages": {"review": {}, "combine": combine}}));
        let journal = finished(&spec);
        (journal.looked_up.load(Ordering::Relaxed), asked(&journal, "combine/prompt/c0/1"))
    };
    let (one, three) = (looked_up(&["sandbox/chair"]), looked_up(&["sandbox/chair", "sandbox/d", "sandbox/e"]));
    // Each chair more looks up its own task.
    assert_eq!((three.0 - one.0, three.1), (2, one.1));
}
