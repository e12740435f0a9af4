//! Judges that are kept from their own family: what is refused, planned, asked, counted as missing and told. Behind the sandbox a
//! model's family is the first part of its name.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::recorder::Recorder;
use super::*;
use crate::content_hash::ContentHash;
use crate::estimate::estimate;
use crate::journal::TaskKey;
use crate::judged::{Detail, Judging, Votes};
use crate::prices::Prices;
use crate::run::NewRun;

fn compiled(mut body: Value) -> Result<RunSpec, Vec<String>> {
    let object = body.as_object_mut().unwrap();
    object.insert("prompt".to_owned(), json!("hi"));
    object.insert("concurrency".to_owned(), json!(1));
    let compiled = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in());
    compiled.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
}

fn finished(spec: &RunSpec) -> Recorder {
    let journal = Recorder::default();
    assert_eq!(run(&journal, spec).now_or_never(), Some(Ok(())));
    journal
}

fn judging(spec: &RunSpec, journal: &Recorder) -> Judging {
    let find = |key: &TaskKey, question: Option<ContentHash>| {
        journal.find(key, question).and_then(Result::ok).map(|answer| answer.text)
    };
    Judging::of(&judgements(spec, &find)[0], Detail::ALL).unwrap()
}

/// The keys of the tasks of a stage that were settled so.
fn settled(journal: &Recorder, stage: &str, how: &str) -> BTreeSet<String> {
    let of_stage = |(key, told): &(String, String)| key.starts_with(&format!("{stage}/")) && told.contains(how);
    journal.outcome().into_iter().filter(of_stage).map(|(key, _)| key).collect()
}

#[test]
fn judges_that_could_judge_nothing_are_refused() {
    let wrong = |models: &[&str], stages: Value| compiled(json!({"models": models, "stages": stages})).unwrap_err();
    let pairwise = |judges: &[&str]| json!({"pairwise": {"judges": judges, "exclude_own_family": true}});
    let here = ["/stages/pairwise/exclude_own_family"];
    assert_eq!(wrong(&["sandbox/a", "sandbox/b"], pairwise(&["sandbox/judge"])), here);
    assert_eq!(wrong(&["sandbox/a", "sandbox/b", "sandbox/x/c"], pairwise(&["sandbox/judge"])), here);
    assert_eq!(wrong(&["sandbox/x/a", "sandbox/y/b"], pairwise(&["sandbox/x/j", "sandbox/y/j"])), here);
    let behind_a_gateway = ["openrouter/mistralai/a", "together/MistralAI/b"];
    assert_eq!(wrong(&behind_a_gateway, pairwise(&["mistral/judge"])), here);
    // Whichever are the best, one of any two is its own.
    let best = json!({
        "evaluate": {"judges": ["sandbox/judge"]}, "pairwise": {"top_n": 2, "exclude_own_family": true},
    });
    assert_eq!(wrong(&["sandbox/a", "sandbox/b", "sandbox/x/c"], best), here);
    // The final comparison has the texts that are made too.
    let last = |merging: &str, judge: &str| {
        json!({
            "evaluate": {"judges": [judge]}, "combine": {"models": [merging]},
            "final_pairwise": {"top_n": 1, "exclude_own_family": true},
        })
    };
    let there = ["/stages/final_pairwise/exclude_own_family"];
    let models = ["sandbox/x/a", "sandbox/x/b"];
    assert_eq!(wrong(&models, last("sandbox/y/m", "sandbox/y/judge")), there);
    assert_eq!(wrong(&models, last("sandbox/y/m", "sandbox/x/judge")), there);
    assert!(compiled(json!({"models": models, "stages": last("sandbox/y/m", "sandbox/z/judge")})).is_ok());
    let unmade = json!({
        "evaluate": {"judges": ["sandbox/x/judge"]}, "combine": {"strategy": "concatenation"},
        "final_pairwise": {"exclude_own_family": true},
    });
    assert_eq!(wrong(&models, unmade.clone()), there, "no model made it, and the answers are its own");
    assert!(compiled(json!({"models": ["sandbox/x/a", "sandbox/y/b"], "stages": unmade})).is_ok());
}

#[test]
fn where_someone_is_unknown_nobody_is_refused() {
    let pairwise = json!({"judges": ["sandbox/judge", "nobody/judge"], "exclude_own_family": true});
    let body = json!({"models": ["sandbox/a", "sandbox/b"], "stages": {"pairwise": pairwise}});
    assert_eq!(compiled(body).unwrap_err(), ["/stages/pairwise/judges/1"]);
    let pairwise = json!({"judges": ["sandbox/judge"], "exclude_own_family": true});
    let body = json!({"models": ["sandbox/a", "sandbox/b", "nobody/c"], "stages": {"pairwise": pairwise}});
    assert_eq!(compiled(body).unwrap_err(), ["/models/2"]);
    let body = json!({"prompt": "hi", "preset_id": crate::ids::PresetId::generate(), "stages": {"pairwise": pairwise}});
    let asked: NewRun = serde_json::from_value(body).unwrap();
    assert_eq!(asked.check(&Prices::built_in()), []);
}

#[test]
fn a_pair_that_nobody_may_judge_is_told_and_the_others_are_judged() {
    let body = json!({
        "models": ["sandbox/x/a", "sandbox/x/b", "sandbox/y/c"],
        "stages": {"pairwise": {"judges": ["sandbox/x/judge", "sandbox/y/judge"], "exclude_own_family": true}},
    });
    let spec = compiled(body).unwrap();
    let journal = finished(&spec);
    let view = judging(&spec, &journal);
    let votes = view.pairwise.unwrap();
    assert_eq!((votes.unjudged, votes.coverage.expected, votes.coverage.missing), (2, 2, 0));
    // The third answer, which nobody may judge, may be the best.
    assert!(votes.contenders.contains(&"generate/prompt/m2/1".to_owned()), "{:?}", votes.contenders);
    assert_eq!(
        view.notes,
        ["pairwise: 2 pairs were not judged: every judge is of the family of one of the two answers"]
    );
}

#[test]
fn who_is_of_which_family_is_settled_when_a_run_is_accepted() {
    let body = json!({
        "models": ["sandbox/x/a", "sandbox/x/b", "sandbox/y/c"],
        "stages": {"pairwise": {"judges": ["sandbox/x/judge"], "both_orders": false, "exclude_own_family": true}},
    });
    assert_eq!(
        compiled(body.clone()).map(|spec| count(&spec)),
        Err(vec!["/stages/pairwise/exclude_own_family".into()])
    );
    let with = |judge: &str| {
        let mut body = body.clone();
        body["stages"]["pairwise"]["judges"] = json!([judge]);
        serde_json::to_value(compiled(body).unwrap()).unwrap()
    };
    let planned = |spec: Value| {
        let spec: RunSpec = serde_json::from_value(spec).unwrap();
        let planned = plan(&spec).len() as u64;
        assert_eq!(planned, count(&spec));
        planned
    };
    // A version that knows that y and x are one maker does not ask another's run for less.
    let mut stored = with("sandbox/y/judge");
    let families = &mut stored["stages"]["pairwise"]["families"];
    assert_eq!(families["sandbox/y/judge"], "y");
    for model in ["sandbox/y/judge", "sandbox/y/c"] {
        families[model] = json!("x");
    }
    assert_eq!((planned(with("sandbox/y/judge")), planned(stored)), (4, 3));
    // One that was stored before families were is read as they are known.
    let mut stored = with("sandbox/y/judge");
    stored["stages"]["pairwise"].as_object_mut().unwrap().remove("families");
    assert_eq!(planned(stored), 4);
}

#[test]
fn a_vote_that_nobody_was_to_give_is_not_missing() {
    // Two answers of three are there, and the best three are compared: the last place stays empty.
    let body = json!({
        "models": ["sandbox/x/a", "sandbox/y/b", "sandbox/x/fails", "sandbox/y/fails"],
        "stages": {
            "evaluate": {"judges": ["sandbox/z/judge-3"], "criteria": ["wit"]},
            "pairwise": {
                "judges": ["sandbox/x/judge", "sandbox/z/judge"], "top_n": 3, "both_orders": false,
                "exclude_own_family": true,
            },
        },
    });
    let spec = compiled(body).unwrap();
    let journal = finished(&spec);
    // The judge of x must not judge the answer of x, whatever were to stand beside it.
    let expected = ["pairwise/prompt/p0-2/ba/j1/1", "pairwise/prompt/p1-2/ab/j0/1", "pairwise/prompt/p1-2/ab/j1/1"];
    assert_eq!(settled(&journal, "pairwise", "InputMissing"), expected.map(str::to_owned).into());
    let excluded = ["pairwise/prompt/p0-1/ab/j0/1", "pairwise/prompt/p0-2/ba/j0/1"];
    assert_eq!(settled(&journal, "pairwise", "excluded"), excluded.map(str::to_owned).into());
    let votes = judging(&spec, &journal).pairwise.unwrap();
    assert_eq!((votes.coverage.given, votes.coverage.missing), (1, 3));
    // Where all are compared, the writer of a failed answer is known too.
    let body = json!({
        "models": ["sandbox/x/a", "sandbox/x/fails", "sandbox/y/b", "sandbox/y/c"],
        "stages": {"pairwise": {"judges": ["sandbox/x/judge"], "exclude_own_family": true}},
    });
    let spec = compiled(body).unwrap();
    let votes = judging(&spec, &finished(&spec)).pairwise.unwrap();
    assert_eq!((votes.coverage.given, votes.coverage.missing), (2, 0));
}

#[test]
fn where_all_answers_reach_the_final_comparison_its_votes_are_known_beforehand() {
    let body = json!({
        "models": ["sandbox/x/a", "sandbox/fails", "sandbox/y/c"],
        "stages": {
            "combine": {"models": ["sandbox/z/m"], "top_n": 3},
            "final_pairwise": {"judges": ["sandbox/y/judge"], "exclude_own_family": true, "both_orders": false},
        },
    });
    let spec = compiled(body).unwrap();
    let journal = finished(&spec);
    assert!(settled(&journal, "final_pairwise", "excluded").is_empty());
    let votes = judging(&spec, &journal).final_pairwise.unwrap();
    // Of the answers of x and of the sandbox, which failed, and of what was made: three pairs, two of them without a text.
    assert_eq!((votes.coverage.given, votes.coverage.missing), (1, 2));
}

/// A model of one of three families.
fn model(family: usize, name: &str) -> String {
    format!("sandbox/f{family}/{name}")
}

fn families(most: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..3, 1..=most)
}

#[derive(Debug, Clone)]
struct Asked {
    /// The family of each answer's writer, and whether it fails.
    writers: Vec<(usize, bool)>,
    iterations: u32,
    judges: Vec<usize>,
    merging: Vec<usize>,
    top_n: Option<u32>,
    last_top_n: Option<u32>,
    both_orders: bool,
}

impl Asked {
    fn any() -> impl Strategy<Value = Self> {
        let writers = prop::collection::vec((0_usize..3, any::<bool>()), 2..5);
        let tops = (prop::option::of(2_u32..5), prop::option::of(1_u32..3));
        (writers, 1_u32..3, families(3), families(2), tops, any::<bool>()).prop_map(
            |(writers, iterations, judges, merging, (top_n, last_top_n), both_orders)| Self {
                writers,
                iterations,
                judges,
                merging,
                top_n,
                last_top_n,
                both_orders,
            },
        )
    }

    /// The name of an answer says of which family it is.
    fn body(&self) -> Value {
        let writer = |(at, (family, fails)): (usize, &(usize, bool))| {
            model(*family, &if *fails { "fails".to_owned() } else { format!("of-f{family}-{at}") })
        };
        let models: Vec<String> = self.writers.iter().enumerate().map(writer).collect();
        let judges: Vec<String> = self.judges.iter().map(|family| model(*family, "judge")).collect();
        let merging: Vec<String> =
            self.merging.iter().map(|family| model(*family, &format!("of-f{family}-merged"))).collect();
        json!({"models": models, "iterations": self.iterations, "stages": {
            "evaluate": {"judges": ["sandbox/nobody/judge-3"], "criteria": ["wit"]},
            "pairwise": {
                "judges": judges, "top_n": self.top_n, "both_orders": self.both_orders, "exclude_own_family": true,
            },
            "combine": {"models": merging},
            "final_pairwise": {
                "judges": judges, "top_n": self.last_top_n, "both_orders": self.both_orders,
                "exclude_own_family": true,
            },
        }})
    }

    fn drafts(&self) -> usize {
        self.writers.len() * self.iterations as usize
    }

    fn last_top(&self) -> usize {
        self.last_top_n.unwrap_or(2) as usize
    }

    /// Which of the two stages have nothing that any judge may be asked about.
    fn refused(&self) -> Vec<String> {
        let of_others = |judge: usize| {
            let writers = self.writers.iter().filter(|(family, _)| *family != judge).count();
            writers * self.iterations as usize
        };
        let merged = |judge: usize| self.merging.iter().filter(|family| **family != judge).count();
        let is_idle = |judge: usize| of_others(judge) < 2;
        let is_idle_at_last = |judge: usize| of_others(judge).min(self.last_top()) + merged(judge) < 2;
        let mut refused = Vec::new();
        if self.judges.iter().all(|judge| is_idle(*judge)) {
            refused.push("/stages/pairwise/exclude_own_family".to_owned());
        }
        if self.judges.iter().all(|judge| is_idle_at_last(*judge)) {
            refused.push("/stages/final_pairwise/exclude_own_family".to_owned());
        }
        refused
    }
}

/// What callers see of a stage's votes is what became of its tasks: those that were asked for were planned, and those that nobody
/// was to give are neither given nor missing.
fn check(stage: &str, votes: &Votes, journal: &Recorder, is_known: bool) {
    let called: Vec<String> =
        journal.calls.lock().unwrap().keys().filter(|key| key.starts_with(&format!("{stage}/"))).cloned().collect();
    assert_eq!(votes.coverage.given, called.len(), "{stage}");
    assert_eq!(votes.coverage.missing, settled(journal, stage, "InputMissing").len(), "{stage}");
    if is_known {
        assert_eq!(settled(journal, stage, "excluded"), BTreeSet::new(), "{stage}: all of it was known");
    }
    for key in called {
        let call = &journal.calls.lock().unwrap()[&key];
        let (family, _) = call.model.split_once('/').unwrap();
        assert!(!call.messages[0].content.contains(&format!("of-{family}-")), "{key}: an answer of its own family");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nobody_judges_its_own_family_and_no_more_is_asked_than_was_told(asked in Asked::any()) {
        let spec = match compiled(asked.body()) {
            Ok(spec) => spec,
            Err(refused) => {
                prop_assert_eq!(refused, asked.refused());
                return Ok(());
            }
        };
        prop_assert_eq!(asked.refused(), Vec::<String>::new());
        let planned: BTreeSet<String> = plan(&spec).iter().map(|task| task.key.to_string()).collect();
        prop_assert_eq!(planned.len() as u64, count(&spec));
        let journal = finished(&spec);
        prop_assert_eq!(&planned, &journal.outcome().into_keys().collect::<BTreeSet<_>>());
        prop_assert!(journal.calls.lock().unwrap().len() <= estimate(&spec, &Prices::built_in()).calls as usize);
        let view = judging(&spec, &journal);
        let all = asked.top_n.is_none_or(|top| top as usize >= asked.drafts());
        check("pairwise", view.pairwise.as_ref().unwrap(), &journal, all);
        check("final_pairwise", view.final_pairwise.as_ref().unwrap(), &journal, asked.last_top() >= asked.drafts());
    }
}
