//! Takes a key out of what a provider wrote: some echo it in errors. The sender and the key test use it, as the last step
//! before a text leaves this crate. Knows no wire.

use acm2_domain::call::{Answer, CallError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// What stands in a key's place.
const PLACEHOLDER: &str = "[key]";
/// A shorter "key" (`ollama`, `none`) is no secret, and taking it out would garble the text.
const SHORTEST_KEY: usize = 8;
/// A key that may be a word of an ordinary answer is left there.
const SHORTEST_KEY_IN_ANSWERS: usize = 16;
const LONGEST_MESSAGE: usize = 2_000;
const LONGEST_CODE: usize = 200;

/// The forms in which a key may come back.
pub(crate) struct Redactor {
    forms: Vec<Zeroizing<String>>,
    key_length: usize,
}

impl Redactor {
    /// The key raw, percent-encoded, JSON-escaped and inside of base64.
    pub(crate) fn new(key: &SecretString) -> Self {
        let key = key.expose_secret();
        let mut forms = Vec::new();
        if key.len() >= SHORTEST_KEY {
            forms.push(Zeroizing::new(key.to_owned()));
            // A key may hold a tab, and `clean` takes it out of the text.
            forms.push(Zeroizing::new(key.chars().filter(|letter| is_shown(*letter)).collect()));
            let escaped = Zeroizing::new(serde_json::Value::from(key).to_string());
            forms.push(Zeroizing::new(escaped[1..escaped.len() - 1].to_owned()));
            forms.extend([percent_encoded(key, b"0123456789ABCDEF"), percent_encoded(key, b"0123456789abcdef")]);
            forms.extend((0..3).flat_map(|shift| inside_base64(key, shift)));
            // The longest first: the raw key may be a part of another form.
            forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
            forms.dedup();
            // Of a key of nothing but tabs, nothing is left.
            forms.retain(|form| !form.is_empty());
        }
        Self { forms, key_length: key.len() }
    }

    fn scrub(&self, text: &mut String) {
        for form in &self.forms {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), PLACEHOLDER);
            }
        }
    }

    /// Takes control characters out first: a key with one inside is no form of the key yet, and is one without it. Cuts last, so
    /// that no part of a key remains at the cut.
    fn clean(&self, text: &mut String, longest: usize) {
        text.retain(is_shown);
        self.scrub(text);
        if text.len() > longest {
            text.truncate(text.floor_char_boundary(longest - '…'.len_utf8()));
            text.push('…');
        }
    }

    /// The error as callers may see it.
    pub(crate) fn error(&self, mut error: CallError) -> CallError {
        self.clean(&mut error.message, LONGEST_MESSAGE);
        for text in [&mut error.provider_code, &mut error.provider_request_id].into_iter().flatten() {
            self.clean(text, LONGEST_CODE);
        }
        error
    }

    /// The answer as callers may see it.
    pub(crate) fn answer(&self, mut answer: Answer) -> Answer {
        for text in [&mut answer.provider_model, &mut answer.provider_request_id].into_iter().flatten() {
            self.clean(text, LONGEST_CODE);
        }
        if self.key_length >= SHORTEST_KEY_IN_ANSWERS {
            self.scrub(&mut answer.text);
        }
        answer
    }
}

/// Whether a letter may stand in messages and logs.
fn is_shown(letter: char) -> bool {
    !letter.is_control() || letter == '\n'
}

fn percent_encoded(key: &str, digits: &[u8; 16]) -> Zeroizing<String> {
    // Room for every byte, so that no copy is left behind by growing.
    let mut out = Zeroizing::new(String::with_capacity(key.len() * 3));
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(digits[usize::from(byte >> 4)]));
            out.push(char::from(digits[usize::from(byte & 15)]));
        }
    }
    out
}

/// What base64 makes of the key after `shift` bytes (mod 3) of something else (`Bearer `), without the letters at both ends
/// that depend on the neighbours; in both alphabets.
fn inside_base64(key: &str, shift: usize) -> [Zeroizing<String>; 2] {
    let mut padded = Zeroizing::new(Vec::with_capacity(shift + key.len()));
    padded.resize(shift, 0);
    padded.extend_from_slice(key.as_bytes());
    let (start, end) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    [STANDARD, URL_SAFE].map(|alphabet| {
        let encoded = Zeroizing::new(alphabet.encode(padded.as_slice()));
        Zeroizing::new(encoded[start..end].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use acm2_domain::call::ErrorClass;
    use proptest::prelude::*;

    use super::*;

    fn message_after(key: &str, message: &str) -> String {
        let error = CallError::unsent(ErrorClass::ProviderRequest, message);
        Redactor::new(&SecretString::from(key)).error(error).message
    }

    #[test]
    fn the_text_around_the_key_stays() {
        assert_eq!(message_after("sk-canary-0001", "bad key: sk-canary-0001!"), "bad key: [key]!");
    }

    #[test]
    fn no_part_of_a_key_is_left_at_the_cut() {
        for start in 1_970..2_010 {
            let message = format!("{}sk-canary-0001{}", "x".repeat(start), "y".repeat(100));
            let cleaned = message_after("sk-canary-0001", &message);
            assert!(!cleaned.contains("sk-"), "{start}");
            assert!(cleaned.len() <= LONGEST_MESSAGE);
        }
        assert!(message_after("sk-canary-0001", &"é".repeat(2_000)).len() <= LONGEST_MESSAGE);
    }

    #[test]
    fn control_characters_do_not_reach_logs() {
        assert_eq!(message_after("sk-canary-0001", "a\u{1b}[31mb\r\nc"), "a[31mb\nc");
    }

    #[test]
    fn a_key_with_control_characters_inside_does_not_come_together_again() {
        for control in ['\0', '\t', '\r', '\u{1b}', '\u{7f}', '\u{85}'] {
            for at in 0..=14 {
                let mut echo = "sk-canary-0001".to_owned();
                echo.insert(at, control);
                assert_eq!(message_after("sk-canary-0001", &format!("bad key: {echo}!")), "bad key: [key]!", "{at}");
            }
        }
        assert_eq!(message_after("sk-canary\t0001", "bad key: sk-canary\t0001!"), "bad key: [key]!");
        assert_eq!(message_after("\t\t\t\t\t\t\t\t\t", "fine"), "fine");
    }

    #[test]
    fn a_placeholder_key_garbles_nothing() {
        assert_eq!(message_after("ollama", "ollama has no such model"), "ollama has no such model");
        assert_eq!(message_after("", "fine"), "fine");
    }

    proptest! {
        #[test]
        fn a_key_is_found_in_every_form(
            key in "[ -~]{8,60}", before in "[ -~]{0,7}", after in "[ -~]{0,7}", upper: bool,
        ) {
            let plain = format!("{before}{key}{after}");
            let hex = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            let url: String = key.bytes().map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                byte => hex(byte),
            }).collect();
            prop_assert!(!message_after(&key, &plain).contains(&key));
            let echoed = [before.as_str(), &url, &after].concat();
            prop_assert!(!message_after(&key, &echoed).contains(&url));
            for alphabet in [STANDARD, URL_SAFE] {
                let encoded = alphabet.encode(&plain);
                let cleaned = message_after(&key, &encoded);
                prop_assert!(cleaned.contains(PLACEHOLDER), "{} of {}", cleaned, encoded);
            }
        }
    }
}
