//! Base62 text (digits, upper case, lower case) for API keys: random letters and a checksum.
//!
//! Called by `api_key` alone.

use crate::random;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fills `out` with random letters, each of the 62 equally likely (about 5.95 bits).
pub(crate) fn fill(out: &mut [u8]) {
    let mut pool = zeroize::Zeroizing::new([0_u8; 64]);
    let mut next = pool.len();
    for slot in out {
        // Six bits give 0 to 63; the two numbers without a letter are drawn again, as a modulo would favour some letters.
        *slot = loop {
            if next == pool.len() {
                random::fill(pool.as_mut());
                next = 0;
            }
            let drawn = usize::from(pool[next] & 0b11_1111);
            next += 1;
            if let Some(letter) = ALPHABET.get(drawn) {
                break *letter;
            }
        };
    }
}

/// CRC-32 (ISO-HDLC, as in zip) of `bytes` as six letters, most significant first.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 6] {
    let mut rest = crc32fast::hash(bytes);
    let mut out = [ALPHABET[0]; 6];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    out
}

/// Whether a byte is one of the 62 letters.
pub(crate) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_letters_come_up_about_equally_often() {
        let mut text = vec![0_u8; 62 * 4_000];
        fill(&mut text);
        let mut counts = [0_u32; 256];
        for byte in &text {
            assert!(is_letter(*byte));
            counts[usize::from(*byte)] += 1;
        }
        // Expected 4,000 each, standard deviation 63: a modulo of six bits would give two letters 8,000,
        // a modulo of a byte would give eight letters a quarter more.
        for letter in ALPHABET {
            let count = counts[usize::from(*letter)];
            assert!((3_500..=4_500).contains(&count), "{count} of {}", char::from(*letter));
        }
    }

    #[test]
    fn the_checksum_is_the_well_known_crc() {
        // CRC-32 of "123456789" is 0xCBF43926 = 3421780262 (the check value of the catalogue of CRC algorithms).
        let digits = checksum(b"123456789").map(|byte| ALPHABET.iter().position(|l| *l == byte).unwrap() as u64);
        assert_eq!(digits.iter().fold(0, |sum, digit| sum * 62 + digit), 0xCBF4_3926);
        assert_eq!(&checksum(b""), b"000000");
    }
}
