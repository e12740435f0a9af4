//! Every figure that the ranking can give of some judgements, so that a test can compare or search all of them at once.

use acm2_domain::ranking::agreement::{self, ScoreAgreement, VoteAgreement};
use acm2_domain::ranking::bradley_terry::{self, Options, Ratings, Resample};
use acm2_domain::ranking::cascade::{self, Evidence, Winner};
use acm2_domain::ranking::consistency::{self, OrderEffect, SelfConsistency};
use acm2_domain::ranking::deviation::{self, ScoreDeviation, VoteDeviation};
use acm2_domain::ranking::elo::{self, Elo};
use acm2_domain::ranking::kendall::{self, Concordance};
use acm2_domain::ranking::leaderboard::Leaderboard;
use acm2_domain::ranking::means::{self, CandidateMean, CriterionMean};
use acm2_domain::ranking::positions::{self, Position};
use acm2_domain::ranking::weights::Weights;
use acm2_domain::ranking::win_rate::{self, WinRate};

use super::panels::Judgements;

/// All of them. Their `Debug` text shows each number with all its bits (−0 and NaN too), which `==` does not.
#[derive(Debug)]
#[expect(dead_code, reason = "some are only read by way of Debug")]
pub(super) struct Figures {
    pub(super) means: Vec<CandidateMean>,
    pub(super) criteria: Vec<CriterionMean>,
    pub(super) deviations: Vec<ScoreDeviation>,
    pub(super) agreement: ScoreAgreement,
    pub(super) consistency: Vec<SelfConsistency>,
    pub(super) ratings: Vec<Ratings>,
    pub(super) elo: Vec<Elo>,
    pub(super) win_rates: Vec<WinRate>,
    pub(super) vote_deviations: Vec<VoteDeviation>,
    pub(super) vote_agreement: VoteAgreement,
    pub(super) vote_consistency: Vec<SelfConsistency>,
    pub(super) order_effects: Vec<OrderEffect>,
    pub(super) positions: Vec<Position>,
    pub(super) order_agreement: Option<Concordance>,
    pub(super) evidence: Evidence,
    pub(super) winner: Option<Winner>,
}

impl Figures {
    pub(super) fn of(judgements: &Judgements) -> Self {
        let (scores, votes) = (judgements.score_table(), judgements.vote_table());
        let rankings = judgements.ranking_table();
        let weights = Weights::equal();
        let means = means::by_candidate(&scores, &weights);
        let rate = |resample| bradley_terry::rate(&votes, &Options { samples: 40, resample, ..Options::default() });
        let ratings: Vec<Ratings> = [Resample::Verdicts, Resample::Sheets, Resample::Judges].map(rate).into();
        let positions = positions::of(&rankings);
        let evidence = Evidence {
            final_pairwise: Leaderboard::default(),
            pairwise: Leaderboard::by_votes(&ratings[0]),
            review: Leaderboard::by_review(&positions),
            mean_score: Leaderboard::by_mean(&means),
        };
        Self {
            criteria: means::by_criterion(&scores),
            deviations: deviation::of_scores(&scores),
            agreement: agreement::of_scores(&scores, &weights),
            consistency: consistency::of_scores(&scores),
            elo: elo::ratings(&votes),
            win_rates: win_rate::of(&votes),
            vote_deviations: deviation::of_votes(&votes),
            vote_agreement: agreement::of_votes(&votes),
            vote_consistency: consistency::of_votes(&votes),
            order_effects: consistency::of_orders(&votes),
            order_agreement: kendall::of_rankings(&rankings),
            winner: cascade::winner(&evidence),
            means,
            ratings,
            positions,
            evidence,
        }
    }

    /// All numbers, as text.
    pub(super) fn text(&self) -> String {
        format!("{self:?}")
    }
}
