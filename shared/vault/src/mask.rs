//! What may be shown of a provider key, so that its owner recognises it in a list.
//!
//! Called when a provider key is stored; the result is kept in plain columns beside the ciphertext.

use secrecy::{ExposeSecret, SecretString};

/// Below this nothing is shown.
const MIN_LENGTH: usize = 12;
const LAST: usize = 4;
const MAX_PREFIX: usize = 7;

/// The parts of a secret that are shown. Never more than a third of its characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// The first characters: 7 of a key of 33 or more, fewer of a shorter one, none below 15.
    pub prefix: String,
    /// The last 4 characters; empty for a key of fewer than 12.
    pub last4: String,
}

/// The mask of a secret. Lengths count characters, not bytes.
pub fn mask(secret: &SecretString) -> Mask {
    let text = secret.expose_secret();
    let length = text.chars().count();
    if length < MIN_LENGTH {
        return Mask { prefix: String::new(), last4: String::new() };
    }
    let prefix = (length / 3).saturating_sub(LAST).min(MAX_PREFIX);
    Mask { prefix: text.chars().take(prefix).collect(), last4: text.chars().skip(length - LAST).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> (String, String) {
        let mask = mask(&SecretString::from(text));
        (mask.prefix, mask.last4)
    }

    #[test]
    fn a_long_key_shows_seven_and_four() {
        let text = format!("provider-{}-vwxy", "0".repeat(40));
        assert_eq!(shown(&text), ("provide".into(), "vwxy".into()));
    }

    #[test]
    fn a_short_key_shows_less() {
        assert_eq!(shown(""), (String::new(), String::new()));
        assert_eq!(shown("sk-12345678"), (String::new(), String::new()));
        assert_eq!(shown("sk-123456789"), (String::new(), "6789".into()));
        assert_eq!(shown("sk-123456789abcd"), ("s".into(), "abcd".into()));
    }

    proptest! {
        #[test]
        fn never_more_than_a_third_is_shown(text in "\\PC{0,60}") {
            let (prefix, last4) = shown(&text);
            prop_assert!(text.starts_with(&prefix) && text.ends_with(&last4));
            let shown = prefix.chars().count() + last4.chars().count();
            prop_assert!(shown * 3 <= text.chars().count());
            prop_assert!(shown <= 11);
        }
    }
}
