//! Names of answers that tell a reviewer nothing about who wrote them, given out in an order of its own for each reviewer.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::content_hash::ContentHash;
use crate::draw::shuffle;

/// The label at a position from 0: A to Z, then AA, AB and so on, as columns of a sheet are named.
pub fn label(position: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = position + 1;
    while rest > 0 {
        rest -= 1;
        // A remainder of 26 is a letter.
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// What decides the order in which a reviewer is shown the answers to a question: nothing that differs from run to run, so that
/// the order is the same at every resume and can be found again by anybody.
pub fn seed(question: &str, reviewer: usize, iteration: u32) -> ContentHash {
    ContentHash::of(format!("order of review {} {reviewer} {iteration}", ContentHash::of(question)))
}

/// Which of `count` answers is shown at each position: `shown(…)[0]` is the one that is called A.
pub fn shown(seed: ContentHash, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut order, &mut ChaCha8Rng::from_seed(*seed.bytes()));
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_go_on_beyond_z() {
        let named: Vec<String> = [0, 1, 25, 26, 27, 51, 52, 701, 702].into_iter().map(label).collect();
        assert_eq!(named, ["A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
        assert_eq!((0..2_000).map(label).collect::<BTreeSet<_>>().len(), 2_000);
    }

    #[test]
    fn orders_differ_by_question_reviewer_and_iteration_and_never_change() {
        let order = |question: &str, reviewer, iteration| shown(seed(question, reviewer, iteration), 8);
        let orders = [order("hi", 0, 1), order("hi", 1, 1), order("hi", 0, 2), order("ho", 0, 1)];
        assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 4, "{orders:?}");
        // As computed apart from this code, from SHA-256, ChaCha8 and the shuffle alone.
        assert_eq!(orders[0], [7, 3, 5, 1, 0, 2, 4, 6]);
    }

    proptest! {
        #[test]
        fn every_answer_is_shown_once(question in ".{0,20}", reviewer in 0_usize..50, count in 0_usize..600) {
            let mut order = shown(seed(&question, reviewer, 1), count);
            order.sort_unstable();
            prop_assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
