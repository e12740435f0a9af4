//! Against values that others computed: from the literature, from R, and from shared/domain/tests/reference/ranking.py, which
//! uses other methods than the code.

use acm2_domain::ranking::bradley_terry::{self, Options};
use acm2_domain::ranking::cohen::kappa;
use acm2_domain::ranking::kendall::concordance;
use acm2_domain::ranking::krippendorff::{Metric, alpha};
use acm2_domain::ranking::votes::VoteTable;

use super::panels::{Tally, tallied};

/// What is asked for is 1e-6; the two implementations agree better than this.
const CLOSE: f64 = 1e-9;

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
    assert!(apart < tolerance, "{found:?} is up to {apart:e} from {expected:?}");
}

/// Wins of row over column in the American League of 1987: Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore
/// (Agresti, "Categorical Data Analysis", 2nd ed., table 10.10; data set `baseball` of R's BradleyTerry2).
const BASEBALL: [[u32; 7]; 7] = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
];

fn baseball() -> VoteTable {
    let mut tallies: Vec<Tally> = Vec::new();
    for (left, row) in BASEBALL.iter().enumerate() {
        for right in left + 1..7 {
            tallies.push((left as u32, right as u32, [row[right], BASEBALL[right][left], 0]));
        }
    }
    tallied(&tallies)
}

/// The formula of `made_up_wins` in the reference script: the first never loses, the last never wins.
fn made_up() -> VoteTable {
    let mut tallies: Vec<Tally> = Vec::new();
    for i in 0..6_u32 {
        for j in i + 1..6 {
            let left = if j == 0 { 0 } else { (3 * i + 5 * j + i * j) % 7 };
            let (right, ties) = if i == 0 || j == 5 { (0, 0) } else { ((2 * i + j) % 4, (i + j) % 3) };
            tallies.push((i, j, [left, right, ties]));
        }
    }
    tallied(&tallies)
}

fn strengths(table: &VoteTable, prior: f64) -> Vec<f64> {
    let ratings = bradley_terry::rate(table, &Options { prior, samples: 0, ..Options::default() });
    ratings.rated.iter().map(|row| row.strength.unwrap()).collect()
}

#[test]
fn bradley_terry_is_that_of_r_and_of_the_reference_on_the_baseball_data() {
    let found = strengths(&baseball(), 0.0);
    let over_baltimore: Vec<f64> = found.iter().map(|strength| strength - found[6]).collect();
    // Abilities in the vignette of BradleyTerry2 (Turner and Firth 2012, "Bradley-Terry Models in R", section 2), to its digits.
    assert_close(&over_baltimore, &[1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0], 0.000_051);
    let reference = [
        1.581_355_876_661,
        1.436_408_431_812,
        1.294_485_123_912,
        1.247_617_845_141,
        1.107_697_705_379,
        0.683_852_769_159,
        0.0,
    ];
    assert_close(&over_baltimore, &reference, CLOSE);
}

#[test]
fn bradley_terry_with_a_prior_is_that_of_the_reference() {
    let baseball_half = [
        0.523_860_893_462,
        0.380_865_923_215,
        0.240_802_762_631,
        0.194_543_304_762,
        0.056_431_787_957,
        -0.361_781_252_336,
        -1.034_723_419_691,
    ];
    assert_close(&strengths(&baseball(), 0.5), &baseball_half, CLOSE);
    let half = [
        3.375_093_901_553,
        -0.030_499_795_513,
        0.689_579_455_066,
        0.128_606_343_971,
        -1.027_172_838_896,
        -3.135_607_066_182,
    ];
    assert_close(&strengths(&made_up(), 0.5), &half, CLOSE);
    let weak = [
        7.262_518_129_701,
        -0.080_496_761_416,
        0.763_452_063_946,
        0.160_086_788_833,
        -1.085_682_224_582,
        -7.019_877_996_482,
    ];
    assert_close(&strengths(&made_up(), 0.01), &weak, CLOSE);
}

/// Units as rows, from observers as rows.
fn transposed(observers: &[[Option<i32>; 12]]) -> Vec<Vec<Option<i32>>> {
    (0..12).map(|unit| observers.iter().map(|values| values[unit]).collect()).collect()
}

#[test]
fn alpha_is_that_of_krippendorffs_own_example() {
    const N: Option<i32> = None;
    let s = Some;
    let observers = [
        [s(1), s(2), s(3), s(3), s(2), s(1), s(4), s(1), s(2), N, N, N],
        [s(1), s(2), s(3), s(3), s(2), s(2), s(4), s(1), s(2), s(5), N, s(3)],
        [N, s(3), s(3), s(3), s(2), s(3), s(4), s(2), s(2), s(5), s(1), N],
        [s(1), s(2), s(3), s(3), s(2), s(4), s(4), s(1), s(2), s(5), s(1), N],
    ];
    let units = transposed(&observers);
    let found = [Metric::Nominal, Metric::Ordinal, Metric::Interval].map(|metric| alpha(&units, metric).unwrap());
    // Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", parts C and D, to its digits; then the reference.
    assert_close(&found.map(|alpha| alpha.alpha), &[0.743, 0.815, 0.849], 0.000_51);
    assert_close(&found.map(|alpha| alpha.alpha), &[0.743_421_052_632, 0.815_387_503_755, 0.849_107_142_857], CLOSE);
    // 40 of the 41 values are in units with two or more; the twelfth unit has one.
    assert_eq!(found.map(|alpha| (alpha.units, alpha.values)), [(11, 40); 3]);
}

#[test]
fn alpha_of_many_units_with_gaps_is_that_of_the_reference() {
    let value =
        |unit: i32, judge: i32| ((unit + 2 * judge) % 7 != 0).then_some((unit + (unit * judge + judge) % 3) % 5 + 1);
    let units: Vec<Vec<Option<i32>>> = (0..40).map(|unit| (0..5).map(|judge| value(unit, judge)).collect()).collect();
    let found = [Metric::Nominal, Metric::Ordinal, Metric::Interval].map(|metric| alpha(&units, metric).unwrap().alpha);
    assert_close(&found, &[0.329_978_858_351, 0.325_184_396_667, 0.325_538_195_328], CLOSE);
}

/// The data set `anxiety` of R's package irr: 20 persons rated from 1 to 6 by three raters.
const ANXIETY: [[i32; 20]; 3] = [
    [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3],
    [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
    [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
];

#[test]
fn concordance_with_ties_is_that_of_r() {
    let raters: Vec<Vec<Option<f64>>> =
        ANXIETY.iter().map(|values| values.iter().map(|value| Some(f64::from(*value))).collect()).collect();
    let found = concordance(&raters).unwrap();
    // DescTools::KendallW(anxiety, TRUE) prints 0.5396569 (its manual's example); irr::kendall(anxiety, TRUE) the same.
    assert_close(&[found.w], &[0.539_656_875_954], CLOSE);
    assert_eq!((found.raters, found.items), (3, 20));

    let made_up = |rater: i32, item: i32| Some(f64::from((3 * item * item + 5 * rater * item + rater) % 6));
    let raters: Vec<Vec<Option<f64>>> = (0..4).map(|rater| (0..9).map(|item| made_up(rater, item)).collect()).collect();
    assert_close(&[concordance(&raters).unwrap().w], &[0.288_095_238_095], CLOSE);
}

fn both_kappas(pairs: &[(i32, i32)]) -> [f64; 2] {
    let found = kappa(pairs).unwrap();
    [found.kappa.unwrap(), found.quadratic.unwrap()]
}

#[test]
fn kappa_is_that_of_cohens_own_example_and_of_r() {
    // Cohen 1960, the example of the paper: 200 persons in three categories by two judges; κ = 0.492.
    let table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]];
    let mut pairs = Vec::new();
    for (one, row) in table.iter().enumerate() {
        for (other, count) in row.iter().enumerate() {
            pairs.extend(std::iter::repeat_n((one as i32, other as i32), *count));
        }
    }
    assert_close(&both_kappas(&pairs), &[0.491_525_423_729, 0.454_545_454_545], CLOSE);
    assert_close(&[kappa(&pairs).unwrap().observed], &[0.70], CLOSE);

    let raters = |one: usize, other: usize| -> Vec<(i32, i32)> {
        ANXIETY[one].iter().copied().zip(ANXIETY[other].iter().copied()).collect()
    };
    // irr::kappa2(anxiety[, 1:2]) prints 0.119, with weight = "squared" 0.297.
    assert_close(&both_kappas(&raters(0, 1)), &[0.119_496_855_346, 0.296_765_119_550], CLOSE);
    assert_close(&both_kappas(&raters(1, 2)), &[-0.006_289_308_176, 0.229_797_979_798], CLOSE);
}
