//! API keys: what is minted is accepted, anything else is refused without a database.

use acm2_vault::api_key::{ApiKeyError, ApiKeyToken};
use proptest::prelude::*;
use secrecy::ExposeSecret;

#[test]
fn a_minted_key_is_accepted_and_fits_its_hash_only() {
    let (mine, other) = (ApiKeyToken::mint(), ApiKeyToken::mint());
    let text = mine.token.expose_secret();
    assert_eq!(text.len(), 55);
    assert!(text.starts_with("acm2_"));
    assert!(mine.hash.starts_with("$argon2id$v=19$m=256,t=1,p=1$"));
    assert_eq!(mine.prefix, format!("acm2_{}", &mine.public_id[..8]));
    assert!(text.ends_with(&mine.last4));
    assert_eq!((mine.public_id.len(), mine.last4.len()), (12, 4));

    let token = ApiKeyToken::parse(text).unwrap();
    assert_eq!(token.public_id(), mine.public_id);
    assert!(token.verify(&mine.hash));
    assert!(!token.verify(&other.hash));
    assert_ne!(mine.public_id, other.public_id);
    assert_ne!(text, other.token.expose_secret());
}

#[test]
fn what_is_stored_or_shown_holds_nothing_of_the_secret() {
    let minted = ApiKeyToken::mint();
    let text = minted.token.expose_secret();
    let secret = &text[17..49];
    for window in secret.as_bytes().windows(8) {
        let part = std::str::from_utf8(window).unwrap();
        for shown in [&minted.public_id, &minted.hash, &minted.prefix, &minted.last4] {
            assert!(!shown.contains(part));
        }
    }
}

#[test]
fn two_keys_of_the_same_public_id_do_not_fit_each_other() {
    // Both well-formed; only the secret differs, and with it the checksum.
    let minted = ApiKeyToken::mint();
    let other = ApiKeyToken::mint();
    let body = format!("acm2_{}{}", minted.public_id, &other.token.expose_secret()[17..49]);
    let forged = format!("{body}{}", checksum(&body));
    let token = ApiKeyToken::parse(&forged).unwrap();
    assert_eq!(token.public_id(), minted.public_id);
    assert!(!token.verify(&minted.hash));
}

/// The rule written a second time, bit by bit, against the crate's table.
fn checksum(body: &str) -> String {
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = !crc;
    let mut letters = Vec::new();
    for _ in 0..6 {
        let digit = rest % 62;
        rest /= 62;
        letters.push(
            match digit {
                0..10 => '0',
                10..36 => '7',
                _ => '=',
            } as u32
                + digit,
        );
    }
    letters.iter().rev().filter_map(|letter| char::from_u32(*letter)).collect()
}

#[test]
fn lists_of_texts_that_are_no_keys_are_refused() {
    let good = ApiKeyToken::mint();
    let good = good.token.expose_secret();
    for text in [
        "",
        "acm2_",
        "Bearer",
        &good[..54],
        &format!("{good}0"),
        &format!(" {}", &good[..54]),
        &format!("ACM2_{}", &good[5..]),
        &format!("{}-", &good[..54]),
        &format!("{}é", &good[..53]),
    ] {
        assert_eq!(ApiKeyToken::parse(text).unwrap_err(), ApiKeyError::Shape, "{}", text.len());
    }
    assert_eq!(ApiKeyToken::parse(&format!("acm2_{}", "0".repeat(50))).unwrap_err(), ApiKeyError::Checksum);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_key_with_any_one_character_changed_is_refused(letter in "[0-9A-Za-z]|\\PC") {
        let minted = ApiKeyToken::mint();
        let text = minted.token.expose_secret();
        for index in 0..text.len() {
            if text[index..=index] != letter {
                let changed = format!("{}{letter}{}", &text[..index], &text[index + 1..]);
                prop_assert!(ApiKeyToken::parse(&changed).is_err(), "character {} changed", index);
            }
        }
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,60}|acm2_[0-9A-Za-z]{50}", hash in "\\PC{0,60}") {
        // A random text has a chance of one in four thousand million to bear the right checksum.
        prop_assert!(ApiKeyToken::parse(&text).is_err());
        let minted = ApiKeyToken::mint();
        let token = ApiKeyToken::parse(minted.token.expose_secret()).unwrap();
        prop_assert!(!token.verify(&hash));
    }
}
