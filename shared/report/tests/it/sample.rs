//! A judged run about two documents, in which everything that others write is hostile.

use acm2_domain::criteria::Criterion;
use acm2_domain::judged::{
    CandidateName, Detail, GivenRanking, GivenScores, GivenVote, Judgements, Judging, RankingJudgements,
    ScoreJudgements, VoteJudgements,
};
use acm2_domain::judging::Scored;
use acm2_domain::ranking::rankings::Ranking;
use acm2_domain::ranking::votes::{Choice, Order, Orders, Pair, Vote};
use acm2_domain::ranking::{Candidate, Judge};
use acm2_domain::run::{DocumentRef, Event, Run, Task};
use acm2_report::Reported;
use acm2_report::archive::Export;
use acm2_report::images::Images;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What each of them would like to do.
pub(crate) const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";
pub(crate) const FORMULA: &str = "=cmd()|' /C calc'!A0";
pub(crate) const TURNED: &str = "\u{202e}txt.exe";
pub(crate) const ATTRIBUTE: &str = "\" onload=\"alert(3)\" x='y";
/// A name that wants out of the archive.
pub(crate) const CLIMBING: &str = "../../../etc/passwd";

pub(crate) const DOCUMENTS: [&str; 2] = ["doc_00000000000000000000000001", "doc_00000000000000000000000002"];
const MODELS: [&str; 3] =
    ["sandbox/echo", "openai/gpt-5.5-with-a-name-that-is-rather-long-2026-11-27", "anthropic/slow"];
const JUDGES: [&str; 2] = ["sandbox/strict", "openai/mild"];
const CRITERIA: [(&str, f64); 3] = [("depth", 2.0), (ATTRIBUTE, 1.0), (FORMULA, 1.0)];

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_770_000 + seconds, 0).unwrap()
}

fn document(index: usize) -> DocumentRef {
    let name = [CLIMBING, SCRIPT][index];
    DocumentRef { id: DOCUMENTS[index].parse().unwrap(), name: name.to_owned() }
}

/// Which of two models is better: the later one, mostly.
fn quality(model: u32, judge: u32, criterion: u32) -> u8 {
    u8::try_from(1 + (model * 2 + judge + criterion) % 5).unwrap()
}

fn judgements(index: usize) -> Judgements {
    let about = DOCUMENTS[index];
    let count = u32::try_from(MODELS.len()).unwrap();
    let candidates: Vec<CandidateName> = (0..count)
        .map(|model| CandidateName {
            task_key: format!("generate/{about}/m{model}/1"),
            model: MODELS[model as usize].to_owned(),
            iteration: 1,
            stage: "generate".to_owned(),
        })
        .collect();
    let criteria: Vec<Criterion> = CRITERIA
        .iter()
        .map(|(name, weight)| Criterion { name: (*name).to_owned(), description: String::new(), weight: *weight })
        .collect();
    let mut sheets = Vec::new();
    let mut votes = Vec::new();
    for judge in 0..2 {
        for model in 0..count {
            for iteration in 1..=2 {
                let scored = |(at, criterion): (u32, &Criterion)| Scored {
                    criterion: criterion.name.clone(),
                    score: quality(model, judge, at),
                    reason: format!("{FORMULA} {SCRIPT} {TURNED}"),
                };
                // The judge of the second model failed once.
                let is_missing = (judge, model, iteration) == (1, 1, 2);
                sheets.push(GivenScores {
                    candidate: Candidate(model),
                    judge: Judge(judge),
                    iteration,
                    task_key: format!("evaluate/{about}/m{model}.1/j{judge}/{iteration}"),
                    scores: (!is_missing).then(|| (0..).zip(&criteria).map(scored).collect()),
                });
            }
            for other in model + 1..count {
                for (order, way) in [(Order::Forward, "ab"), (Order::Swapped, "ba")] {
                    let flips = judge == 1 && model == 0 && other == 1;
                    let choice = if order == Order::Forward || flips { Choice::B } else { Choice::A };
                    let pair = Pair::new(Candidate(model), Candidate(other)).unwrap();
                    let vote = Vote { iteration: 1, judge: Judge(judge), pair, order, choice: Some(choice) };
                    votes.push(GivenVote {
                        vote,
                        task_key: format!("pairwise/{about}/p{model}-{other}/{way}/j{judge}/1"),
                        reason: Some(format!("{SCRIPT} {ATTRIBUTE}")),
                    });
                }
            }
        }
    }
    let judges = || JUDGES.map(str::to_owned).to_vec();
    let competing = || (0..count).map(Candidate).collect();
    let ranking = |reviewer: u32| GivenRanking {
        ranking: Ranking {
            iteration: 1,
            reviewer: Judge(reviewer),
            order: (reviewer == 0).then(|| vec![Candidate(2), Candidate(1), Candidate(0)]),
        },
        task_key: format!("review/{about}/r{reviewer}/1"),
    };
    Judgements {
        document: Some(document(index)),
        candidates,
        evaluate: Some(ScoreJudgements { judges: judges(), criteria, competing: competing(), given: sheets }),
        pairwise: Some(VoteJudgements {
            judges: judges(),
            orders: Orders::Both,
            competing: competing(),
            given: votes,
            lacking: 0,
            unjudged: 0,
        }),
        review: Some(RankingJudgements {
            reviewers: judges(),
            competing: competing(),
            given: (0..2).map(ranking).collect(),
        }),
        final_pairwise: None,
    }
}

fn task(judgements: &Judgements, key: &str, model: &str, started: i64, seconds: i64) -> Value {
    json!({
        "key": key, "stage": key.split('/').next(), "document": judgements.document, "model": model, "iteration": 1, "status": "completed",
        "text": format!("{SCRIPT}\n{FORMULA}\n{TURNED}\nthe answer of {model}"), "finish_reason": "stop",
        "usage": {"input_tokens": 100, "output_tokens": 20}, "cost_usd": "0.0012", "cost_source": "estimated",
        "latency_ms": seconds * 1000, "provider_model": null, "provider_request_id": null, "attempts": 1,
        "error": null, "finished_at": at(started + seconds),
    })
}

/// The tasks of a subject; of the failed judge's there is none.
fn tasks_of(judgements: &Judgements, start: i64) -> Vec<Value> {
    let mut tasks = Vec::new();
    for (index, candidate) in (0_i64..).zip(&judgements.candidates) {
        tasks.push(task(judgements, &candidate.task_key, &candidate.model, start, 2 + 3 * index));
    }
    for given in judgements.evaluate.iter().flat_map(|scores| &scores.given) {
        let judge = JUDGES[given.judge.0 as usize];
        let mut judged = task(judgements, &given.task_key, judge, start + 8, 3);
        if given.scores.is_none() {
            judged["status"] = json!("failed");
            (judged["text"], judged["cost_usd"], judged["cost_source"]) = (Value::Null, Value::Null, Value::Null);
            judged["error"] = json!({"class": "provider_timeout", "message": format!("{FORMULA} {SCRIPT}")});
        }
        tasks.push(judged);
    }
    for given in judgements.pairwise.iter().flat_map(|votes| &votes.given) {
        tasks.push(task(judgements, &given.task_key, JUDGES[given.vote.judge.0 as usize], start + 12, 2));
    }
    tasks
}

/// The whole export.
pub(crate) fn export() -> Export {
    let judged = [judgements(0), judgements(1)];
    let tasks: Vec<Value> =
        judged.iter().enumerate().flat_map(|(index, one)| tasks_of(one, index as i64 * 20)).collect();
    let missing: Vec<Value> = tasks
        .iter()
        .filter(|task| task["status"] == "failed")
        .map(|task| {
            json!({"key": task["key"], "model": task["model"], "class": "provider_timeout", "reason": task["error"]["message"]})
        })
        .collect();
    let results: Vec<&Value> = tasks.iter().filter(|task| task["stage"] == "generate").collect();
    let run: Run = serde_json::from_value(json!({
        "id": "run_00000000000000000000000001", "status": "completed_with_errors", "requested": null,
        "models": MODELS, "progress": {"tasks_expected": 54, "tasks_completed": 52, "tasks_failed": 2},
        "results": results, "missing": missing, "totals": null, "cost_usd": null, "cost": null,
        "known_cost_usd": "0.0624", "in_doubt_usd": "0.002", "max_cost_usd": "1.5",
        "metadata": {SCRIPT: FORMULA}, "tags": [SCRIPT, TURNED], "problem": null, "last_event": 3,
        "created_at": at(-2), "started_at": at(0), "finished_at": at(36), "deadline_at": at(86_400),
    }))
    .unwrap();
    let event = |number: u64, event_type: &str, seconds: i64, data: Value| -> Event {
        serde_json::from_value(json!({"number": number, "type": event_type, "at": at(seconds), "data": data})).unwrap()
    };
    Export {
        combine: None,
        judging: Some(judged.iter().map(|one| Judging::of(one, Detail::ALL).unwrap()).collect()),
        shown_events: vec![
            event(1, "run.queued", -2, json!({"tasks_expected": 54})),
            event(2, "attempt.failed", 11, json!({"message": format!("{SCRIPT} {FORMULA}")})),
            event(3, "run.completed_with_errors", 36, json!({})),
        ],
        made_at: at(100),
        tasks: tasks.iter().map(|task| serde_json::from_value::<Task>(task.clone()).unwrap()).collect(),
        run,
    }
}

static NO_IMAGES: Images = Images::new();

/// The same as a report is made of.
pub(crate) fn reported(export: &Export) -> Reported<'_> {
    Reported {
        run: &export.run,
        tasks: &export.tasks,
        judging: export.judging.as_deref().unwrap(),
        combine: export.combine,
        events: &export.shown_events,
        images: &NO_IMAGES,
        made_at: export.made_at,
    }
}
