//! Keys and prompts as the sandbox's log names them.

use sha2::{Digest as _, Sha256};

/// The first 16 hexadecimal digits of the SHA-256 of a text.
pub(crate) fn fingerprint(text: &str) -> String {
    let digits =
        Sha256::digest(text.as_bytes())[..8].iter().flat_map(|byte| [byte >> 4, byte & 15]).collect::<Vec<_>>();
    digits.into_iter().filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_start_of_the_sha_256() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }
}
