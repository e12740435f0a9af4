//! The judges of scores: how far each is from its panel and from itself, and how far the panel agrees.

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::judgements::ScoreJudgements;
use super::names::Names;
use crate::ranking::agreement::{self, JudgePair};
use crate::ranking::kendall::Concordance;
use crate::ranking::krippendorff::Alpha;
use crate::ranking::scores::ScoreTable;
use crate::ranking::weights::Weights;
use crate::ranking::{consistency, deviation};

/// A judge of scores beside its panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct ScoreJudge {
    /// The judge.
    pub judge: String,
    /// How many of its scores came.
    pub coverage: Coverage,
    /// How much higher than the panel it scores each criterion.
    pub by_criterion: Vec<JudgeOnCriterion>,
    /// The plain mean of those, in points of the scale: above 0 is milder than the panel. Null where it gave no score.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub total_deviation: Option<f64>,
    /// How far it agrees with itself when asked again, 1 for always the same; null where nothing was judged twice.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub self_consistency: Option<f64>,
}

/// How a judge scores a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct JudgeOnCriterion {
    /// The criterion.
    pub criterion: String,
    /// In points of the scale: above 0 is milder than the panel. Null where the judge gave no score for it.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub deviation: Option<f64>,
    /// How many scores it is the mean of.
    pub n: usize,
}

/// How far a panel agrees on scores. Every figure is null where it has no value: with one judge there is no agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct AgreementOnScores {
    /// Krippendorff's alpha for ordinal values: the one to read.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub alpha_ordinal: Option<Alpha>,
    /// Krippendorff's alpha for interval values.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub alpha_interval: Option<Alpha>,
    /// Kendall's W of the orders that follow from each judge's mean scores.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub kendall_w: Option<Concordance>,
    /// Every two judges.
    pub pairs: Vec<JudgesAgreement>,
}

/// The agreement of two judges. Figures are null where they judged too little in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct JudgesAgreement {
    /// One.
    pub one: String,
    /// The other.
    pub other: String,
    /// How many things both judged.
    pub n: usize,
    /// The share on which they said the same, 0 to 1.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub observed: Option<f64>,
    /// Cohen's kappa: the agreement above chance.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub kappa: Option<f64>,
    /// Cohen's kappa with each disagreement counted by the square of its distance: the one to read for scores.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub kappa_quadratic: Option<f64>,
}

impl AgreementOnScores {
    pub(super) fn of(table: &ScoreTable, weights: &Weights, names: Names<'_>) -> Self {
        let found = agreement::of_scores(table, weights);
        Self {
            alpha_ordinal: found.ordinal,
            alpha_interval: found.interval,
            kendall_w: found.order,
            pairs: found.pairs.iter().map(|pair| JudgesAgreement::of(pair, names)).collect(),
        }
    }
}

impl JudgesAgreement {
    pub(super) fn of(pair: &JudgePair, names: Names<'_>) -> Self {
        Self {
            one: names.judge(pair.one),
            other: names.judge(pair.other),
            n: pair.agreement.map_or(0, |kappa| kappa.n),
            observed: pair.agreement.map(|kappa| kappa.observed),
            kappa: pair.agreement.and_then(|kappa| kappa.kappa),
            kappa_quadratic: pair.agreement.and_then(|kappa| kappa.quadratic),
        }
    }
}

/// Every judge that was asked.
pub(super) fn judges(judgements: &ScoreJudgements, table: &ScoreTable, names: Names<'_>) -> Vec<ScoreJudge> {
    let consistencies = consistency::of_scores(table);
    let of_judge = |deviation: deviation::ScoreDeviation| {
        let rows = || table.rows().iter().filter(|row| row.judge == deviation.judge);
        let given = rows().filter(|row| row.score.is_some()).count();
        let consistency = consistencies.iter().find(|row| row.judge == deviation.judge);
        ScoreJudge {
            judge: names.judge(deviation.judge),
            coverage: Coverage::of(given, rows().count() - given, "scores"),
            by_criterion: (deviation.by_criterion.iter())
                .filter_map(|row| {
                    let criterion = judgements.criteria.get(row.criterion.0 as usize)?;
                    Some(JudgeOnCriterion { criterion: criterion.name.clone(), deviation: row.deviation, n: row.n })
                })
                .collect(),
            total_deviation: deviation.total,
            self_consistency: consistency.and_then(|row| row.consistency),
        }
    };
    deviation::of_scores(table).into_iter().map(of_judge).collect()
}
