//! The judges of votes: what the position does to each, how far each is from its panel and from itself, and how far the panel
//! agrees.

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::names::Names;
use super::score_judges::JudgesAgreement;
use crate::ranking::krippendorff::Alpha;
use crate::ranking::votes::VoteTable;
use crate::ranking::{agreement, consistency, deviation};

/// A judge of votes beside its panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct VoteJudge {
    /// The judge.
    pub judge: String,
    /// How many of its votes came.
    pub coverage: Coverage,
    /// Pairs that it saw in both orders, with a vote in each.
    pub compared: usize,
    /// Those of them on which its two votes disagree.
    pub flips: usize,
    /// `flips` of `compared`, 0 to 1; null where nothing was seen in both orders.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub flip_rate: Option<f64>,
    /// The share of its votes in those pairs that went to the answer shown first; 0.5 is no preference for a position.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub first_share: Option<f64>,
    /// Its verdicts on pairs on which the panel has a majority.
    pub counted: usize,
    /// Those of them that say the same as the majority.
    pub agreed: usize,
    /// `agreed` in percent of `counted`; null where nothing counted.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub agreement_rate: Option<f64>,
    /// The rate minus the mean rate of all judges, in percentage points.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub deviation: Option<f64>,
    /// The deviation in whole points, halves rounded away from 0.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub deviation_points: Option<i64>,
    /// The share of repeats with the same verdict; null where nothing was judged twice.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub self_consistency: Option<f64>,
}

/// How far a panel agrees on votes. Every figure is null where it has no value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct AgreementOnVotes {
    /// Krippendorff's alpha for labels: left, right, tie.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub alpha_nominal: Option<Alpha>,
    /// Every two judges.
    pub pairs: Vec<JudgesAgreement>,
}

impl AgreementOnVotes {
    pub(super) fn of(table: &VoteTable, names: Names<'_>) -> Self {
        let found = agreement::of_votes(table);
        Self {
            alpha_nominal: found.nominal,
            pairs: found.pairs.iter().map(|pair| JudgesAgreement::of(pair, names)).collect(),
        }
    }
}

/// Every judge that was asked.
pub(super) fn judges(table: &VoteTable, names: Names<'_>) -> Vec<VoteJudge> {
    let (deviations, repeats) = (deviation::of_votes(table), consistency::of_votes(table));
    let of_judge = |effect: consistency::OrderEffect| {
        let votes = || table.votes().iter().filter(|vote| vote.judge == effect.judge);
        let given = votes().filter(|vote| vote.choice.is_some()).count();
        let deviation = deviations.iter().find(|row| row.judge == effect.judge);
        VoteJudge {
            judge: names.judge(effect.judge),
            coverage: Coverage::of(given, votes().count() - given, "votes"),
            compared: effect.compared,
            flips: effect.flips,
            flip_rate: effect.flip_rate,
            first_share: effect.first_share,
            counted: deviation.map_or(0, |row| row.counted),
            agreed: deviation.map_or(0, |row| row.agreed),
            agreement_rate: deviation.and_then(|row| row.rate),
            deviation: deviation.and_then(|row| row.deviation),
            deviation_points: deviation.and_then(|row| row.points),
            self_consistency: repeats.iter().find(|row| row.judge == effect.judge).and_then(|row| row.consistency),
        }
    };
    consistency::of_orders(table).into_iter().map(of_judge).collect()
}
