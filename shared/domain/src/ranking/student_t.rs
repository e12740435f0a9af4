//! Quantiles of Student's t distribution, the one function of a statistics library that the ranking needs: `statrs` would bring
//! fourteen packages into the lock file for it.

use std::f64::consts::FRAC_PI_2;

use super::summary::CONFIDENCE;

/// Up to this many degrees of freedom by the finite series, from there on by the expansion, which is exact to 1e-12 there.
const MOST_TERMS: usize = 1000;

/// Halvings of an interval below 2 until it is narrower than the numbers' precision.
const HALVINGS: usize = 60;

/// What t becomes with ever more degrees of freedom: the normal distribution's own quantile for [`CONFIDENCE`].
const NORMAL: f64 = 1.959_963_984_540_054;

/// The t that [`CONFIDENCE`] of all cases stay within on both sides, P(|T| ≤ t) = 0.95. None without a degree of freedom.
pub(super) fn two_sided(freedom: usize) -> Option<f64> {
    match freedom {
        0 => None,
        1..=MOST_TERMS => {
            let (mut low, mut high) = (0.0, FRAC_PI_2);
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(low, high);
                if within(middle, freedom) < CONFIDENCE {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            Some(f64::midpoint(low, high).tan() * (freedom as f64).sqrt())
        }
        _ => Some(expanded(NORMAL, freedom as f64)),
    }
}

/// P(|T| ≤ t) for t = √ν·tan θ (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
fn within(angle: f64, freedom: usize) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    let (mut term, mut sum) = if odd { (cosine, 0.0) } else { (1.0, 0.0) };
    // Odd: cos θ + 2/3·cos³ θ + …; even: 1 + 1/2·cos² θ + …; both up to cos^(ν−2) θ.
    let mut power = usize::from(odd);
    while power + 2 <= freedom {
        sum += term;
        power += 2;
        term *= cosine * cosine * (power - 1) as f64 / power as f64;
    }
    if odd { (angle + sine * sum) / FRAC_PI_2 } else { sine * sum }
}

/// The quantile of t from the normal one, for many degrees of freedom (Abramowitz and Stegun 1964, 26.7.5).
fn expanded(x: f64, freedom: f64) -> f64 {
    let square = x * x;
    let terms = [
        (square + 1.0) / 4.0,
        ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
        ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0) / 92160.0,
    ];
    x + x * terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R's `qt(0.975, df)`, whose first decimals are the table of the NIST/SEMATECH e-Handbook, 1.3.6.7.2.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        let table = [
            (1, 12.706_204_736_2),
            (2, 4.302_652_729_7),
            (3, 3.182_446_305_3),
            (4, 2.776_445_105_2),
            (5, 2.570_581_835_6),
            (10, 2.228_138_852_0),
            (30, 2.042_272_456_3),
            (100, 1.983_971_518_5),
        ];
        for (freedom, expected) in table {
            let quantile = two_sided(freedom).unwrap();
            assert!((quantile - expected).abs() < 1e-9, "{freedom}: {quantile}");
        }
    }

    #[test]
    fn the_series_and_the_expansion_meet_and_end_at_the_normal_distribution() {
        let (series, expansion) = (two_sided(MOST_TERMS).unwrap(), expanded(NORMAL, MOST_TERMS as f64));
        assert!((series - expansion).abs() < 1e-11, "{series} {expansion}");
        assert!((two_sided(usize::MAX).unwrap() - NORMAL).abs() < 1e-9);
    }

    #[test]
    fn a_single_value_has_no_quantile() {
        assert_eq!(two_sided(0), None);
    }
}
