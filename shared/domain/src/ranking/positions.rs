//! What rankings say of each answer: its mean position and its Borda count, beside each other.

use serde::{Deserialize, Serialize};

use super::rankings::RankingTable;
use super::{Candidate, Summary};

/// Where reviewers put an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The answer.
    pub candidate: Candidate,
    /// How many rankings name it.
    pub rankings: usize,
    /// Its mean position in them, 1 for the best; lower is better. Where rankings differ in length (a reviewer leaves its own
    /// answer out), third of three and third of six count alike here.
    pub mean_position: f64,
    /// Borda's count: how many answers it was put before, over all rankings; higher is better.
    pub borda: usize,
    /// The share of the other answers that it was put before, 0 to 1, over the rankings of two answers or more: its mean, spread
    /// and interval. This takes the length of each ranking into account and is what orders the answers. None where no ranking
    /// has two answers.
    pub share: Option<Summary>,
}

/// The positions of every ranked answer, by candidate.
///
/// In a ranking of L answers, position p (from 1) gives L − p points and a share of (L − p)/(L − 1) (Borda 1781, "Mémoire sur les
/// élections au scrutin"). With full rankings of one length, mean position and Borda give the same order.
pub fn of(table: &RankingTable) -> Vec<Position> {
    let position = |candidate: Candidate| {
        let places: Vec<(usize, usize)> = table
            .given()
            .filter_map(|order| Some((order.len(), order.iter().position(|ranked| *ranked == candidate)?)))
            .collect();
        let shares: Vec<f64> = places
            .iter()
            .filter(|(length, _)| *length > 1)
            .map(|(length, before)| (length - 1 - before) as f64 / (length - 1) as f64)
            .collect();
        let rankings = places.len();
        Position {
            candidate,
            rankings,
            mean_position: places.iter().map(|(_, before)| (before + 1) as f64).sum::<f64>() / rankings.max(1) as f64,
            borda: places.iter().map(|(length, before)| length - 1 - before).sum(),
            share: Summary::of(&shares),
        }
    };
    table.candidates().into_iter().map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Judge;
    use crate::ranking::rankings::Ranking;

    fn table(orders: &[&[u32]]) -> RankingTable {
        let ranking = |(reviewer, order): (usize, &&[u32])| Ranking {
            iteration: 1,
            reviewer: Judge(reviewer as u32),
            order: Some(order.iter().copied().map(Candidate).collect()),
        };
        RankingTable::new(orders.iter().enumerate().map(ranking).collect()).unwrap()
    }

    /// The preferences of Condorcet's critique as counted by Borda: Tennessee's capital on Wikipedia's page "Borda count"
    /// (Memphis 0, Nashville 1, Chattanooga 2, Knoxville 3; 42, 26, 15 and 17 ballots) gives 126, 194, 173 and 107 points.
    #[test]
    fn the_capital_of_tennessee_by_borda_is_nashville() {
        let ballots: [(usize, &[u32]); 4] =
            [(42, &[0, 1, 2, 3]), (26, &[1, 2, 3, 0]), (15, &[2, 3, 1, 0]), (17, &[3, 2, 1, 0])];
        let orders: Vec<&[u32]> = ballots.iter().flat_map(|(count, order)| vec![*order; *count]).collect();
        let positions = of(&table(&orders));
        assert_eq!(positions.iter().map(|row| row.borda).collect::<Vec<_>>(), [126, 194, 173, 107]);
        assert!((positions[1].mean_position - (4.0 - 1.94)).abs() < 1e-12);
    }

    #[test]
    fn rankings_of_unlike_length_count_by_the_share_of_the_others() {
        // The reviewers of answers 0 and 1 leave their own out; the third ranks all three.
        let positions = of(&table(&[&[1, 2], &[0, 2], &[0, 1, 2]]));
        let shares: Vec<f64> = positions.iter().map(|row| row.share.unwrap().mean).collect();
        assert!(shares.iter().zip([1.0, 0.75, 0.0]).all(|(share, expected)| (share - expected).abs() < 1e-12));
        assert_eq!(positions[2].rankings, 3);
        assert_eq!(of(&table(&[&[0]]))[0].share, None);
    }
}
