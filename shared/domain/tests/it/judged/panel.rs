//! Judgements on three answers, complete: what tests take things out of.

use acm2_domain::criteria::Criterion;
use acm2_domain::judged::{
    CandidateName, GivenRanking, GivenScores, GivenVote, Judgements, RankingJudgements, ScoreJudgements, VoteJudgements,
};
use acm2_domain::judging::Scored;
use acm2_domain::ranking::rankings::Ranking;
use acm2_domain::ranking::votes::{Choice, Order, Orders, Pair, Vote};
use acm2_domain::ranking::{Candidate, Judge};

pub(super) const JUDGES: u32 = 3;

pub(super) fn key(candidate: u32) -> String {
    format!("generate/prompt/m{candidate}/1")
}

pub(super) fn candidates(count: u32) -> Vec<CandidateName> {
    let name = |at| CandidateName {
        task_key: key(at),
        model: format!("sandbox/model-{at}"),
        iteration: 1,
        stage: "generate".to_owned(),
    };
    (0..count).map(name).collect()
}

pub(super) fn competing(count: u32) -> Vec<Candidate> {
    (0..count).map(Candidate).collect()
}

/// Two names are the same: one model judges twice.
pub(super) fn judges() -> Vec<String> {
    ["sandbox/strict", "sandbox/mild", "sandbox/strict"].map(str::to_owned).to_vec()
}

pub(super) fn criteria(weights: &[(&str, f64)]) -> Vec<Criterion> {
    let criterion =
        |&(name, weight): &(&str, f64)| Criterion { name: name.to_owned(), description: String::new(), weight };
    weights.iter().map(criterion).collect()
}

pub(super) fn scored(scores: &[(&str, u8)]) -> Vec<Scored> {
    let scored = |&(criterion, score): &(&str, u8)| Scored {
        criterion: criterion.to_owned(),
        score,
        reason: format!("{criterion} is {score}"),
    };
    scores.iter().map(scored).collect()
}

pub(super) fn sheet(candidate: u32, judge: u32, iteration: u32, scores: &[(&str, u8)]) -> GivenScores {
    GivenScores {
        candidate: Candidate(candidate),
        judge: Judge(judge),
        iteration,
        task_key: format!("evaluate/prompt/m{candidate}.1/j{judge}/{iteration}"),
        scores: Some(scored(scores)),
    }
}

pub(super) fn vote(pair: (u32, u32), order: Order, judge: u32, choice: Option<Choice>) -> GivenVote {
    let vote = Vote {
        iteration: 1,
        judge: Judge(judge),
        pair: Pair::new(Candidate(pair.0), Candidate(pair.1)).unwrap(),
        order,
        choice,
    };
    let way = if order == Order::Forward { "ab" } else { "ba" };
    GivenVote {
        vote,
        task_key: format!("pairwise/prompt/p{}-{}/{way}/j{judge}/1", pair.0, pair.1),
        reason: choice.map(|choice| format!("{choice:?} is better")),
    }
}

pub(super) fn ranking(reviewer: u32, order: Option<&[u32]>) -> GivenRanking {
    let order = order.map(|order| order.iter().copied().map(Candidate).collect());
    GivenRanking {
        ranking: Ranking { iteration: 1, reviewer: Judge(reviewer), order },
        task_key: format!("review/prompt/r{reviewer}/1"),
    }
}

/// Scores: the second answer is best, the third worst. Votes: the first wins every pair. Rankings: the third is put first.
pub(super) fn panel() -> Judgements {
    let mut sheets = Vec::new();
    let mut votes = Vec::new();
    for judge in 0..JUDGES {
        for (candidate, score) in [(0, 3), (1, 5), (2, 1)] {
            for iteration in 1..=2 {
                sheets.push(sheet(candidate, judge, iteration, &[("depth", score), ("style", score)]));
            }
        }
        for pair in [(0, 1), (0, 2), (1, 2)] {
            votes.push(vote(pair, Order::Forward, judge, Some(Choice::A)));
            votes.push(vote(pair, Order::Swapped, judge, Some(Choice::B)));
        }
    }
    Judgements {
        document: None,
        candidates: candidates(3),
        evaluate: Some(ScoreJudgements {
            judges: judges(),
            criteria: criteria(&[("depth", 1.0), ("style", 1.0)]),
            competing: competing(3),
            given: sheets,
        }),
        pairwise: Some(VoteJudgements {
            judges: judges(),
            orders: Orders::Both,
            competing: competing(3),
            given: votes,
            lacking: 0,
            unjudged: 0,
        }),
        review: Some(RankingJudgements {
            reviewers: judges(),
            competing: competing(3),
            given: (0..JUDGES).map(|reviewer| ranking(reviewer, Some(&[2, 1, 0]))).collect(),
        }),
        final_pairwise: None,
    }
}
