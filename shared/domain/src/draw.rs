//! Draws that are the same on every machine and in every version: ChaCha with 8 rounds, and no distribution of a library. For the
//! bootstrap of ratings and for the order in which reviewers are shown answers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// One of the items, each as likely as the others.
pub(crate) fn pick<'a, T>(items: &'a [T], rng: &mut ChaCha8Rng) -> Option<&'a T> {
    items.get(usize::try_from(below(rng, items.len() as u64)).ok()?)
}

/// A number from 0 to `bound` − 1, each as likely as the others (Lemire 2019, "Fast Random Integer Generation in an Interval").
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    let uneven = bound.wrapping_neg().checked_rem(bound).unwrap_or_default();
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(bound);
        if wide as u64 >= uneven {
            return (wide >> 64) as u64;
        }
    }
}

/// A number from 0 up to, and not with, 1, in steps of 2⁻⁵³.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The items in an order of which each is as likely as the others (Fisher and Yates, in the form of Durstenfeld 1964).
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn draws_are_even_and_the_same_everywhere() {
        let mut rng = ChaCha8Rng::from_seed([7; 32]);
        let mut counts = [0_u32; 5];
        for _ in 0..50_000 {
            counts[below(&mut rng, 5) as usize] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
        // The first block of ChaCha8 for the key 0, nonce 0 begins 3e 00 ef 2f 89 5f 40 d6 (Strombergson, draft-strombergson-
        // chacha-test-vectors, TC1).
        assert_eq!(
            ChaCha8Rng::from_seed([0; 32]).next_u64(),
            u64::from_le_bytes([0x3e, 0, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6])
        );
    }

    #[test]
    fn every_order_is_as_likely_as_the_others() {
        let mut rng = ChaCha8Rng::from_seed([3; 32]);
        let mut counts: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = vec![0, 1, 2, 3];
            shuffle(&mut items, &mut rng);
            *counts.entry(items).or_default() += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| count.abs_diff(1_000) < 150), "{counts:?}");
    }
}
