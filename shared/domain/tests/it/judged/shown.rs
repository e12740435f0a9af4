//! What the view says of judgements that were made by hand.

use acm2_domain::judged::{Detail, Judgements, Judging, winner};
use acm2_domain::ranking::cascade::Basis;
use acm2_domain::ranking::leaderboard::Call;
use acm2_domain::ranking::votes::{Choice, Order};
use acm2_domain::ranking::{Candidate, Invalid};

use super::panel::{competing, criteria, key, panel, scored, sheet, vote};

fn view(judgements: &Judgements) -> Judging {
    Judging::of(judgements, Detail::ALL).unwrap()
}

#[test]
fn a_complete_panel_is_shown_without_a_note() {
    let judging = view(&panel());
    assert_eq!(judging.notes, Vec::<String>::new());
    let scores = judging.evaluate.unwrap();
    assert_eq!((scores.coverage.expected, scores.coverage.missing, scores.coverage.note), (36, 0, None));
    let order: Vec<(Option<usize>, String)> =
        scores.leaderboard.iter().map(|place| (place.rank, place.candidate.clone())).collect();
    assert_eq!(order, [(Some(1), key(1)), (Some(2), key(0)), (Some(3), key(2))]);
    let best = scores.leaderboard[0].score.unwrap();
    assert!((best.mean - 5.0).abs() < 1e-12 && best.n == 6);
    assert_eq!(scores.sheets.len(), 18);
    assert_eq!(scores.sheets[0].scores[0].reason, "depth is 3");
    assert_eq!(scores.criteria[1].criterion, "style");
    // A model that judges as two is told apart.
    let judges: Vec<&str> = scores.judges.iter().map(|judge| &*judge.judge).collect();
    assert_eq!(judges, ["sandbox/strict", "sandbox/mild", "sandbox/strict (2)"]);
    assert!(scores.agreement.alpha_ordinal.is_some_and(|alpha| (alpha.alpha - 1.0).abs() < 1e-12));
    assert_eq!(scores.agreement.pairs.len(), 3);
    assert_eq!(scores.judges[0].self_consistency, Some(1.0));
    assert_eq!(scores.judges[0].total_deviation, Some(0.0));

    let votes = judging.pairwise.unwrap();
    assert_eq!((votes.coverage.expected, votes.verdicts.expected, votes.groups), (18, 9, 1));
    assert_eq!(votes.leaderboard.iter().map(|place| place.wins).collect::<Vec<_>>(), [6, 3, 0]);
    assert!(votes.leaderboard[0].elo > 1000.0 && votes.samples == 1000);
    let pair = &votes.pairs[0];
    assert_eq!((&pair.left, &pair.right, pair.left_wins, pair.ties), (&key(0), &key(1), 3, 0));
    assert!(pair.left_win_chance.is_some_and(|chance| chance > 0.5 && chance < 1.0));
    assert_eq!(votes.judges[0].flip_rate, Some(0.0));
    assert_eq!(votes.judges[0].first_share, Some(0.5));
    // Shown the other way round, the answer that was shown second won.
    assert_eq!((&votes.votes[1].first, &votes.votes[1].second), (&key(1), &key(0)));
    assert_eq!((votes.votes[1].choice, votes.votes[1].winner.clone()), (Some(Choice::B), Some(key(0))));
    assert_eq!(votes.votes[1].reason.as_deref(), Some("B is better"));

    let reviews = judging.review.unwrap();
    assert_eq!(reviews.leaderboard[0].candidate, key(2));
    assert!((reviews.leaderboard[0].mean_position - 1.0).abs() < 1e-12 && reviews.leaderboard[0].borda == 6);
    assert_eq!(reviews.kendall_w.map(|found| found.raters), Some(3));
}

#[test]
fn the_most_telling_stage_decides_and_says_how_sure_it_is() {
    let mut judgements = panel();
    let decided = |judgements: &Judgements| {
        let winner = view(judgements).winner.unwrap();
        (winner.task_key, winner.basis)
    };
    assert_eq!(decided(&judgements), (key(0), Basis::Pairwise));
    assert_eq!(winner(&judgements).unwrap().basis, Basis::Pairwise);
    judgements.pairwise = None;
    assert_eq!(decided(&judgements), (key(2), Basis::Review));
    judgements.review = None;
    assert_eq!(decided(&judgements), (key(1), Basis::MeanScore));
    assert_eq!(view(&judgements).winner.map(|winner| winner.call), Some(Call::Clear));
    // Six sheets that all agree are clear; two scores that differ by chance are not.
    let scores = judgements.evaluate.as_mut().unwrap();
    scores.competing = competing(2);
    scores.given = vec![
        sheet(0, 0, 1, &[("depth", 4), ("style", 2)]),
        sheet(0, 1, 1, &[("depth", 5), ("style", 3)]),
        sheet(1, 0, 1, &[("depth", 3), ("style", 3)]),
        sheet(1, 1, 1, &[("depth", 4), ("style", 3)]),
    ];
    let found = view(&judgements).winner.unwrap();
    assert_eq!((found.task_key, found.call, found.contenders), (key(0), Call::TooClose, vec![key(1)]));
    judgements.evaluate = None;
    assert_eq!((view(&judgements).winner, winner(&judgements)), (None, None));
}

#[test]
fn criteria_count_by_their_weight() {
    let mut judgements = panel();
    let scores = judgements.evaluate.as_mut().unwrap();
    scores.criteria = criteria(&[("depth", 3.0), ("style", 1.0)]);
    scores.given = vec![sheet(0, 0, 1, &[("depth", 5), ("style", 1)])];
    let scores = view(&judgements).evaluate.unwrap();
    assert!((scores.leaderboard[0].score.unwrap().mean - 4.0).abs() < 1e-12);
    assert!((scores.criteria[0].weight - 3.0).abs() < 1e-12);
}

#[test]
fn what_is_missing_is_missing_and_said() {
    let mut judgements = panel();
    let scores = judgements.evaluate.as_mut().unwrap();
    // The first sheet did not come; of the third answer nothing did; one score is none; one criterion was never asked for.
    scores.given[0].scores = None;
    for given in scores.given.iter_mut().filter(|given| given.candidate.0 == 2) {
        given.scores = None;
    }
    scores.given[2].scores = Some(scored(&[("depth", 9), ("style", 5), ("luck", 1)]));
    let votes = judgements.pairwise.as_mut().unwrap();
    for given in votes.given.iter_mut().filter(|given| given.vote.judge.0 == 1) {
        (given.vote.choice, given.reason) = (None, None);
    }
    judgements.review.as_mut().unwrap().given[0].ranking.order = None;
    let judging = view(&judgements);
    assert_eq!(
        judging.notes,
        [
            "evaluate: computed from 21 of 36 scores",
            "evaluate: generate/prompt/m2/1 has no score",
            "pairwise: computed from 12 of 18 votes",
            "pairwise: sandbox/mild gave none of 6",
            "pairwise: computed from 6 of 9 verdicts",
            "review: computed from 2 of 3 rankings",
        ]
    );
    let scores = judging.evaluate.unwrap();
    // The scores that came keep their value: what is missing is neither 0 nor 3.
    let of = |candidate: u32| scores.leaderboard.iter().find(|place| place.candidate == key(candidate)).unwrap();
    assert!((of(0).score.unwrap().mean - 3.0).abs() < 1e-12 && of(0).score.unwrap().n == 5);
    assert!((of(1).score.unwrap().mean - 5.0).abs() < 1e-12);
    assert_eq!(of(0).coverage.note.as_deref(), Some("computed from 10 of 12 scores"));
    let last = scores.leaderboard.last().unwrap();
    assert_eq!((last.candidate.clone(), last.rank, last.score), (key(2), None, None));
    assert_eq!(last.coverage.note.as_deref(), Some("none of 12 scores came"));
    assert_eq!(scores.sheets[0].scores[0].score, None);
    let mended = &scores.sheets[6].scores;
    assert_eq!((mended.len(), mended[0].score, mended[1].score), (2, None, Some(5)));
    let votes = judging.pairwise.unwrap();
    assert_eq!((votes.pairs[0].left_wins, votes.pairs[0].missing), (2, 1));
    let missing = votes.votes.iter().find(|vote| vote.judge == "sandbox/mild").unwrap();
    assert_eq!((missing.choice, &missing.winner, &missing.reason), (None, &None, &None));
    assert_eq!(judging.review.unwrap().rankings[0].order, None);
}

#[test]
fn long_lists_and_long_reasons_are_cut_and_figures_are_not() {
    let mut judgements = panel();
    judgements.evaluate.as_mut().unwrap().given[0].scores.as_mut().unwrap()[0].reason = "é".repeat(9_000);
    let whole = view(&judgements).evaluate.unwrap();
    let cut = Judging::of(&judgements, Detail { rows: 2, reason_characters: 100 }).unwrap();
    let scores = cut.evaluate.unwrap();
    assert_eq!((scores.sheets.len(), scores.sheets_left_out), (2, 16));
    assert_eq!(scores.sheets[0].scores[0].reason, format!("{}…", "é".repeat(100)));
    assert_eq!(scores.leaderboard, whole.leaderboard);
    let votes = cut.pairwise.unwrap();
    assert_eq!((votes.votes.len(), votes.votes_left_out), (2, 16));
    assert_eq!(cut.review.unwrap().rankings_left_out, 1);
}

#[test]
fn judgements_that_contradict_each_other_are_refused() {
    let mut judgements = panel();
    judgements.pairwise.as_mut().unwrap().given.push(vote((0, 1), Order::Forward, 0, None));
    assert_eq!(Judging::of(&judgements, Detail::ALL), Err(Invalid::DuplicateVote));
    assert_eq!(winner(&judgements), None);
}

#[test]
fn few_equal_sheets_call_nothing_also_where_their_mean_is_no_round_number() {
    let names = ["a", "b", "c", "d", "e"];
    let sum_of = |scores: [u8; 5]| names.into_iter().zip(scores).collect::<Vec<_>>();
    let mut judgements = panel();
    (judgements.pairwise, judgements.review) = (None, None);
    let scores = judgements.evaluate.as_mut().unwrap();
    (scores.criteria, scores.competing) = (criteria(&names.map(|name| (name, 1.0))), competing(2));
    // All sheets of the first answer sum to 19, all of the second to 16: 3.8 and 3.2, which three times over are not themselves.
    scores.given = (0..3)
        .flat_map(|judge| [sheet(0, judge, 1, &sum_of([3, 4, 4, 4, 4])), sheet(1, judge, 1, &sum_of([3, 3, 3, 3, 4]))])
        .collect();
    let judging = view(&judgements);
    assert_eq!(judging.winner.map(|winner| (winner.call, winner.contenders)), Some((Call::TooFew, vec![key(1)])));
    assert_eq!(judging.evaluate.unwrap().leaderboard[0].score.unwrap().sd, Some(0.0));
}

#[test]
fn an_answer_that_nobody_scored_may_be_the_best() {
    let mut judgements = panel();
    (judgements.pairwise, judgements.review) = (None, None);
    let scores = judgements.evaluate.as_mut().unwrap();
    for given in scores.given.iter_mut().filter(|given| given.candidate.0 == 0) {
        given.scores = None;
    }
    let found = |judgements: &Judgements| {
        let judging = view(judgements);
        let (winner, scores) = (judging.winner.unwrap(), judging.evaluate.unwrap());
        assert_eq!((scores.call, &scores.contenders), (Some(winner.call), &winner.contenders));
        assert_eq!(judged_by_name(judgements), Some(winner.task_key.clone()));
        (winner.task_key, winner.call, winner.contenders)
    };
    assert_eq!(found(&judgements), (key(1), Call::TooFew, vec![key(0)]));
    for given in judgements.evaluate.as_mut().unwrap().given.iter_mut().filter(|given| given.candidate.0 == 2) {
        given.scores = None;
    }
    assert_eq!(found(&judgements), (key(1), Call::TooFew, vec![key(0), key(2)]));
    // An answer that failed is none.
    judgements.evaluate.as_mut().unwrap().competing = vec![Candidate(1)];
    assert_eq!(found(&judgements), (key(1), Call::Unopposed, Vec::new()));
}

fn judged_by_name(judgements: &Judgements) -> Option<String> {
    winner(judgements).map(|winner| winner.task_key)
}
