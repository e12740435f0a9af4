//! Opinions: numbers that follow from the texts alone, so that every run and every process has the same.

use sha2::{Digest, Sha256};

/// 1 to 5, for one criterion.
pub(super) fn score(model: &str, criterion: &str, answer: &str) -> u8 {
    match hash(&["score", model, criterion, answer]) % 5 {
        0 => 1,
        1 => 2,
        2 => 3,
        3 => 4,
        _ => 5,
    }
}

/// How good a text is as a whole. Of two, the one with more is the better one, whatever else either is compared with.
pub(super) fn merit(model: &str, text: &str) -> u64 {
    hash(&["merit", model, text])
}

fn hash(parts: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts make the same bytes.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opinions_are_the_same_in_every_version() {
        let scores = ["Clarity", "Depth", "Wit"].map(|criterion| score("judge", criterion, "an answer"));
        assert_eq!(scores, [2, 2, 5]);
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
