//! What the judges of a run said, read from the answers that its tasks have: each stage adds its part (`Stage::hear`).

use super::generate;
use super::planned::{NO_MODEL, PlannedTask};
use super::subject::{Draft, Find, Subject};
use crate::judged::{CandidateName, Judgements};
use crate::run::{DocumentRef, ModelSpec, RunSpec};

/// What was said about each subject so far, in the order that people see; nothing for a run that has no stages.
pub fn judgements(spec: &RunSpec, find: Find<'_>) -> Vec<Judgements> {
    judged_subjects(spec).map(|subject| judgements_of(spec, subject, find)).collect()
}

/// The subjects about which something may be said; none for a run that has no stages.
pub fn judged_subjects(spec: &RunSpec) -> impl Iterator<Item = Subject> + use<> {
    let has_stages = !spec.stages.is_empty();
    Subject::all(spec).filter(move |_| has_stages)
}

/// What was said about one subject so far. Only answers of tasks that [`is_heard`] names are looked up.
pub fn judgements_of(spec: &RunSpec, subject: Subject, find: Find<'_>) -> Judgements {
    let mut judgements = Judgements {
        document: subject.document(spec).map(DocumentRef::from),
        candidates: generate::drafts(spec, subject).iter().map(|draft| named(generate::NAME, draft)).collect(),
        ..Judgements::default()
    };
    for (_, stage) in spec.stages.each() {
        stage.hear(spec, subject, find, &mut judgements);
    }
    judgements
}

/// Whether the answer of a task says something about others, or is what is said something about.
pub fn is_heard(task: &PlannedTask<'_>) -> bool {
    task.is_result || is_said_by_a_judge(task)
}

/// Whether the answer of a task is what a judge says.
pub fn is_said_by_a_judge(task: &PlannedTask<'_>) -> bool {
    matches!(task.stage, "evaluate" | "pairwise" | "review" | "final_pairwise")
}

/// An answer that competes, as views name it.
pub(super) fn named(stage: &str, draft: &Draft<'_>) -> CandidateName {
    CandidateName {
        task_key: draft.key.to_string(),
        model: draft.writer.map_or_else(|| NO_MODEL.to_owned(), ModelSpec::full_name),
        iteration: draft.iteration,
        stage: stage.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::judged::{Detail, Judging};
    use crate::prices::Prices;
    use crate::run::NewRun;

    fn spec(body: serde_json::Value) -> RunSpec {
        serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
    }

    #[test]
    fn what_judges_said_is_read_from_the_answers_of_their_tasks() {
        let spec = spec(json!({
            "prompt": "hi", "models": ["sandbox/a", "sandbox/b"],
            "documents": [{"name": "one", "text": "x"}, {"name": "two", "text": "y"}],
            "stages": {"evaluate": {"judges": ["sandbox/j"], "criteria": ["depth"]}, "pairwise": {}},
        }));
        let first = &spec.documents[0].id.to_string();
        let scores =
            |score: u8| format!(r#"{{"evaluations":[{{"criterion":"depth","score":{score},"reason":"so"}}]}}"#);
        let vote = |winner: &str| format!(r#"{{"winner":"{winner}","reason":"better"}}"#);
        let answers: BTreeMap<String, String> = [
            (format!("generate/{first}/m0/1"), "one".to_owned()),
            (format!("generate/{first}/m1/1"), "other".to_owned()),
            (format!("evaluate/{first}/m0.1/j0/1"), scores(2)),
            (format!("evaluate/{first}/m1.1/j0/1"), "no scores".to_owned()),
            (format!("pairwise/{first}/p0-1/ab/j0/1"), vote("B")),
            (format!("pairwise/{first}/p0-1/ba/j0/1"), vote("A")),
        ]
        .into();
        let heard = judgements(&spec, &|key, _| answers.get(key.as_str()).cloned());
        assert_eq!(heard.len(), 2);
        let judging = Judging::of(&heard[0], Detail::ALL).unwrap();
        assert_eq!(judging.document.as_ref().map(|document| &*document.name), Some("one"));
        assert_eq!(
            judging.notes,
            ["evaluate: computed from 1 of 2 scores", &format!("evaluate: generate/{first}/m1/1 has no score")]
        );
        let scores = judging.evaluate.unwrap();
        // The other answer is there, and nobody scored it.
        assert_eq!(scores.call, Some(crate::ranking::leaderboard::Call::TooFew));
        assert_eq!(scores.contenders, [format!("generate/{first}/m1/1")]);
        assert_eq!((scores.sheets[0].scores[0].score, &*scores.sheets[0].scores[0].reason), (Some(2), "so"));
        assert_eq!(&*scores.sheets[0].judge, "sandbox/j");
        assert_eq!(judging.winner.map(|winner| winner.model).as_deref(), Some("sandbox/b"));
        let votes = judging.pairwise.unwrap();
        assert_eq!((votes.coverage.given, votes.votes[1].reason.as_deref()), (2, Some("better")));
        // Of the other nothing has come yet.
        let other = Judging::of(&heard[1], Detail::ALL).unwrap();
        assert_eq!((other.winner, other.candidates.len()), (None, 2));
        assert_eq!(other.notes[0], "evaluate: none of 2 scores came");
    }

    #[test]
    fn nothing_is_looked_up_but_answers_and_what_judges_said_of_them() {
        let spec = spec(json!({
            "prompt": "hi", "models": ["sandbox/a", "sandbox/b"], "generator": "research", "research": {"provider": "exa"},
            "documents": [{"name": "one", "text": "x"}, {"name": "two", "text": "y"}],
            "stages": {
                "evaluate": {"judges": ["sandbox/j"], "criteria": ["depth"]}, "pairwise": {}, "review": {},
                "combine": {"strategy": "merge", "models": ["sandbox/a"]}, "final_pairwise": {}, "title": {"model": "sandbox/a"},
            },
        }));
        let plan = crate::stages::plan(&spec);
        for subject in judged_subjects(&spec) {
            let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
            judgements_of(&spec, subject, &|key, _| {
                asked.borrow_mut().insert(key.to_string());
                Some(r#"{"winner": "A", "evaluations": [{"criterion": "depth", "score": 3}]}"#.to_owned())
            });
            let of_subject = plan.iter().filter(|task| task.document_index == subject.document_index);
            let heard: std::collections::BTreeSet<String> =
                of_subject.filter(|task| is_heard(task)).map(|task| task.key.to_string()).collect();
            let asked = asked.into_inner();
            assert!(asked.len() > 8 && asked.is_subset(&heard), "{:?}", asked.difference(&heard));
        }
    }

    #[test]
    fn a_run_without_stages_has_no_judgements() {
        assert_eq!(judgements(&spec(json!({"prompt": "hi", "models": ["sandbox/a"]})), &|_, _| None), Vec::new());
    }
}
