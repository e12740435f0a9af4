//! The strengths under which the votes are most likely, by Newton's method with steps that are short enough to converge from
//! anywhere.
//!
//! Maximised is ℓ(θ) = Σ w(i,j)·ln σ(θ_i − θ_j) + π·Σ (ln σ(θ_i) + ln σ(−θ_i)), σ(x) = 1/(1 + e^−x), w(i,j) being the wins of i
//! over j and π the prior: each answer begins with π wins and π losses against an average answer of strength 0. That makes ℓ
//! strictly concave with a finite maximum whatever the votes, keeps an undefeated answer finite, and ties groups that were never
//! compared to one scale. It pulls all strengths towards each other, the less the more votes there are.
//!
//! Newton's step δ is taken by the factor ln(1 + d)/d, where d is the widest difference among δ and 0, which bounds how fast ℓ's
//! curvature changes along δ. ℓ is generalised self-concordant of order 2, and for those this factor converges from any start, quadratically near the end (Sun and
//! Tran-Dinh 2019, "Generalized Self-Concordant Functions", Mathematical Programming 178). Hunter's MM (2004, "MM Algorithms
//! for Generalized Bradley–Terry Models") finds the same maximum in hundreds of cheaper steps; the tests compare with it.

/// Half a win and half a loss for each answer, as Jeffreys' prior adds to a single proportion.
pub const PRIOR: f64 = 0.5;

/// More steps than any input needs: each multiplies odds that still grow by more than two.
const MOST_STEPS: usize = 500;

/// A step that moves no strength by more than this ends the search.
const STILL: f64 = 1e-12;

/// Below this, steps shrink quadratically; one that no longer does has reached the end of the numbers' precision.
const NEAR: f64 = 1e-6;

/// The wins of two answers over each other, by their positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duel {
    /// One answer.
    pub left: usize,
    /// The other.
    pub right: usize,
    /// Wins of the left one; halves for ties.
    pub left_wins: f64,
    /// Wins of the right one.
    pub right_wins: f64,
}

/// The chance that strength `one` beats strength `other`.
pub fn win_chance(one: f64, other: f64) -> f64 {
    1.0 / (1.0 + (other - one).exp())
}

/// The strengths of `n` answers, with mean 0. `start` is where to begin, for speed only.
///
/// With a prior of 0 it is the plain maximum-likelihood estimate, which exists only if no set of answers was never beaten by the
/// rest (Ford 1957, "Solution of a Ranking Problem from Binary Comparisons").
///
/// None for a prior that is negative or not finite, for wins that are, for positions out of range, and where a prior of 0 leaves
/// no finite maximum.
pub fn strengths(n: usize, duels: &[Duel], prior: f64, start: Option<&[f64]>) -> Option<Vec<f64>> {
    let sound = |duel: &Duel| {
        let wins = [duel.left_wins, duel.right_wins];
        duel.left.max(duel.right) < n && wins.iter().all(|wins| wins.is_finite() && *wins >= 0.0)
    };
    if !prior.is_finite()
        || prior < 0.0
        || !duels.iter().all(sound)
        || (prior <= 0.0 && !everyone_beats_everyone(n, duels))
    {
        return None;
    }
    let mut theta = start.filter(|start| start.len() == n).map_or_else(|| vec![0.0; n], <[f64]>::to_vec);
    let mut system = System::new(n);
    let mut last = f64::INFINITY;
    for _ in 0..MOST_STEPS {
        system.fill(&theta, duels, prior);
        let step = system.solve()?;
        let widest = widest(step, prior > 0.0);
        if !widest.is_finite() {
            return None;
        }
        let factor = if widest > 0.0 { widest.ln_1p() / widest } else { 1.0 };
        theta.iter_mut().zip(step).for_each(|(theta, step)| *theta += factor * step);
        if widest < STILL || (widest < NEAR && widest >= last) {
            let mean = theta.iter().sum::<f64>() / n.max(1) as f64;
            return Some(theta.into_iter().map(|theta| theta - mean).collect());
        }
        last = widest;
    }
    None
}

/// The widest difference among the parts of a step, and 0 where the prior's average answer stands still among them.
fn widest(step: &[f64], anchored: bool) -> f64 {
    let start = if anchored { (0.0, 0.0) } else { (f64::INFINITY, f64::NEG_INFINITY) };
    let (low, high) = step.iter().fold(start, |(low, high), part| (part.min(low), part.max(high)));
    if step.is_empty() { 0.0 } else { high - low }
}

/// Whether a chain of wins leads from every answer to every other.
fn everyone_beats_everyone(n: usize, duels: &[Duel]) -> bool {
    let reached = |backwards: bool| {
        let mut seen = vec![false; n];
        let Some(first) = seen.first_mut() else { return true };
        *first = true;
        loop {
            let mut changed = false;
            for duel in duels {
                for (winner, loser, wins) in
                    [(duel.left, duel.right, duel.left_wins), (duel.right, duel.left, duel.right_wins)]
                {
                    let (from, to) = if backwards { (loser, winner) } else { (winner, loser) };
                    if wins > 0.0 && seen.get(from) == Some(&true) && seen.get(to) == Some(&false) {
                        seen.iter_mut().skip(to).take(1).for_each(|seen| *seen = true);
                        changed = true;
                    }
                }
            }
            if !changed {
                return seen.iter().all(|seen| *seen);
            }
        }
    };
    reached(false) && reached(true)
}

/// Newton's equations: minus the second derivatives of ℓ (the lower triangle, row by row), and the first ones.
struct System {
    n: usize,
    curvature: Vec<f64>,
    slope: Vec<f64>,
}

impl System {
    fn new(n: usize) -> Self {
        Self { n, curvature: vec![0.0; n * n], slope: vec![0.0; n] }
    }

    fn fill(&mut self, theta: &[f64], duels: &[Duel], prior: f64) {
        let n = self.n;
        // Without a prior a shift of all strengths changes nothing; a constant everywhere fixes their mean instead.
        self.curvature.fill(if prior > 0.0 { 0.0 } else { 1.0 });
        for (at, (slope, theta)) in self.slope.iter_mut().zip(theta).enumerate() {
            let chance = win_chance(*theta, 0.0);
            *slope = prior * (1.0 - 2.0 * chance);
            self.curvature[at * n + at] += 2.0 * prior * chance * (1.0 - chance);
        }
        for duel in duels {
            let (left, right) = (duel.left, duel.right);
            let chance = win_chance(theta[left], theta[right]);
            let all = duel.left_wins + duel.right_wins;
            let surplus = duel.left_wins - all * chance;
            self.slope[left] += surplus;
            self.slope[right] -= surplus;
            let weight = all * chance * (1.0 - chance);
            self.curvature[left * n + left] += weight;
            self.curvature[right * n + right] += weight;
            self.curvature[left.max(right) * n + left.min(right)] -= weight;
        }
    }

    /// The step, by Cholesky's decomposition in place; none where the matrix is not positive definite.
    fn solve(&mut self) -> Option<&[f64]> {
        let n = self.n;
        for row in 0..n {
            for column in 0..=row {
                let (before, of_row) = self.curvature.split_at_mut(row * n);
                let of_column = if column < row { &before[column * n..column * n + column] } else { &[] };
                if column < row {
                    let known: f64 = of_row[..column].iter().zip(of_column).map(|(one, other)| one * other).sum();
                    of_row[column] = (of_row[column] - known) / before[column * n + column];
                } else {
                    let known: f64 = of_row[..row].iter().map(|part| part * part).sum();
                    let pivot = of_row[row] - known;
                    if !(pivot.is_finite() && pivot > 0.0) {
                        return None;
                    }
                    of_row[row] = pivot.sqrt();
                }
            }
        }
        for row in 0..n {
            let known: f64 =
                self.curvature[row * n..row * n + row].iter().zip(&self.slope).map(|(one, other)| one * other).sum();
            self.slope[row] = (self.slope[row] - known) / self.curvature[row * n + row];
        }
        for row in (0..n).rev() {
            let known: f64 = (row + 1..n).map(|below| self.curvature[below * n + row] * self.slope[below]).sum();
            self.slope[row] = (self.slope[row] - known) / self.curvature[row * n + row];
        }
        Some(&self.slope)
    }
}
