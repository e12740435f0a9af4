//! Verdicts, counted: who beat whom how often. Only whole numbers, so that no order of counting shows.

use std::collections::BTreeMap;

use super::fit::Duel;
use crate::ranking::Candidate;
use crate::ranking::index::distinct;
use crate::ranking::votes::{Outcome, Pair, VoteTable};

/// What was said of a pair.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) ties: u32,
}

impl Counts {
    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Left => self.left += 1,
            Outcome::Right => self.right += 1,
            Outcome::Tie => self.ties += 1,
        }
    }

    pub(super) fn all(self) -> u32 {
        self.left + self.right + self.ties
    }

    /// As wins, a tie being half of one for each side.
    pub(super) fn duel(self, left: usize, right: usize) -> Duel {
        let half = f64::from(self.ties) / 2.0;
        Duel { left, right, left_wins: f64::from(self.left) + half, right_wins: f64::from(self.right) + half }
    }
}

/// All verdicts, counted; answers are positions in `candidates`.
pub(super) struct Tally {
    /// Answers with a verdict, ascending.
    pub(super) candidates: Vec<Candidate>,
    /// For each, how many verdicts.
    pub(super) verdicts: Vec<usize>,
    /// What was compared, ascending by pair.
    pub(super) counts: Vec<(Pair, Counts)>,
    /// The same as wins.
    pub(super) duels: Vec<Duel>,
}

impl Tally {
    pub(super) fn of(table: &VoteTable) -> Self {
        let mut counts: BTreeMap<Pair, Counts> = BTreeMap::new();
        for (verdict, outcome) in table.given() {
            counts.entry(verdict.pair).or_default().add(outcome);
        }
        let candidates = distinct(counts.keys().flat_map(|pair| [pair.left(), pair.right()]));
        let mut tally = Self { verdicts: vec![0; candidates.len()], candidates, counts: Vec::new(), duels: Vec::new() };
        for (pair, counts) in counts {
            if let Some((left, right)) = tally.positions(pair) {
                for side in [left, right] {
                    if let Some(verdicts) = tally.verdicts.get_mut(side) {
                        *verdicts += counts.all() as usize;
                    }
                }
                tally.counts.push((pair, counts));
                tally.duels.push(counts.duel(left, right));
            }
        }
        tally
    }

    /// Where a candidate stands in `candidates`.
    pub(super) fn position(&self, candidate: Candidate) -> Option<usize> {
        self.candidates.binary_search(&candidate).ok()
    }

    pub(super) fn positions(&self, pair: Pair) -> Option<(usize, usize)> {
        self.position(pair.left()).zip(self.position(pair.right()))
    }

    /// How many groups are connected by comparisons, and which each answer belongs to, numbered in the order of answers.
    pub(super) fn groups(&self) -> (usize, Vec<usize>) {
        // Every answer begins alone and takes the lowest position that it is connected to.
        let mut lowest: Vec<usize> = (0..self.candidates.len()).collect();
        loop {
            let mut changed = false;
            for duel in &self.duels {
                let (Some(left), Some(right)) = (lowest.get(duel.left).copied(), lowest.get(duel.right).copied())
                else {
                    continue;
                };
                for at in [duel.left, duel.right] {
                    if let Some(group) = lowest.get_mut(at) {
                        changed |= *group != left.min(right);
                        *group = left.min(right);
                    }
                }
            }
            if !changed {
                break;
            }
        }
        let roots = distinct(lowest.iter().copied());
        let number = |root: &usize| roots.binary_search(root).unwrap_or_default();
        (roots.len(), lowest.iter().map(number).collect())
    }
}
