//! What the judges of a run said, read from the answers that its tasks have: each stage adds its part (`Stage::hear`).

use super::generate;
use super::planned::NO_MODEL;
use super::subject::{Draft, Find, Subject};
use crate::judged::{CandidateName, Judgements};
use crate::run::{DocumentRef, ModelSpec, RunSpec};

/// What was said about each subject so far, in the order that people see; nothing for a run that has no stages.
pub fn judgements(spec: &RunSpec, find: Find<'_>) -> Vec<Judgements> {
    if spec.stages.is_empty() {
        return Vec::new();
    }
    let of_subject = |subject: Subject| {
        let mut judgements = Judgements {
            document: subject.document(spec).map(DocumentRef::from),
            candidates: generate::drafts(spec, subject).iter().map(|draft| named(generate::NAME, draft)).collect(),
            ..Judgements::default()
        };
        for (_, stage) in spec.stages.each() {
            stage.hear(spec, subject, find, &mut judgements);
        }
        judgements
    };
    Subject::all(spec).map(of_subject).collect()
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
    fn a_run_without_stages_has_no_judgements() {
        assert_eq!(judgements(&spec(json!({"prompt": "hi", "models": ["sandbox/a"]})), &|_, _| None), Vec::new());
    }
}
