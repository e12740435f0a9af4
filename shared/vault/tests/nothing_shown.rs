//! No `Debug` and no `Display` shows key material: each type is made of a known secret and printed.

use acm2_domain::ids::TenantId;
use acm2_vault::api_key::ApiKeyToken;
use acm2_vault::data_key::DataKey;
use acm2_vault::keyring::Keyring;
use acm2_vault::master_keys::MasterKeys;
use acm2_vault::seal::Binding;
use acm2_vault::verify_cache::VerifyCache;
use acm2_vault::webhook_secret;
use secrecy::{ExposeSecret, SecretString};

const CANARY: &str = "canary-7f3a9c-do-not-show";

/// Fails if `shown` holds any 8 characters of `secret` in a row, or its bytes as a list of numbers.
fn refuse(shown: &str, secret: &str) {
    for window in secret.as_bytes().windows(8) {
        let part = String::from_utf8_lossy(window);
        assert!(!shown.contains(&*part), "{} shows a secret", shown.split(['(', '{', '[']).next().unwrap_or(""));
    }
    let numbers = format!("{:?}", &secret.as_bytes()[..4]);
    assert!(!shown.contains(numbers.trim_matches(['[', ']'])), "bytes of a secret are shown");
}

#[test]
fn debug_of_keys_shows_ids_only() {
    let (keys, text) = MasterKeys::generate("2026a").unwrap();
    let material = text.expose_secret().strip_prefix("2026a:").unwrap();
    assert_eq!(format!("{keys:?}"), r#"MasterKeys["2026a"]"#);

    let tenant = TenantId::generate();
    let data_key = DataKey::generate();
    assert_eq!(format!("{data_key:?}"), "DataKey([REDACTED])");
    let wrapped = keys.wrap(&data_key, tenant);
    assert_eq!(format!("{wrapped:?}"), r#"WrappedDataKey { master_key_id: "2026a", .. }"#);

    let keyring = Keyring::new(keys);
    keyring.data_key(tenant, &wrapped).unwrap();
    let shown = format!("{keyring:?} {keyring:#?} {text:?}");
    refuse(&shown, material);
}

#[test]
fn debug_of_a_sealed_secret_shows_its_length_only() {
    let binding = Binding {
        tenant: TenantId::generate(),
        table: "provider_keys",
        column: "sealed",
        row: TenantId::generate().uuid(),
        bound_to: &["openai"],
    };
    let key = DataKey::generate();
    let sealed = key.seal(&binding, &SecretString::from(CANARY));
    assert_eq!(format!("{sealed:?}"), format!("Sealed({} bytes)", CANARY.len() + 29));
    assert!(!sealed.as_bytes().windows(8).any(|window| CANARY.as_bytes().windows(8).any(|part| part == window)));
    let opened = key.open(&binding, sealed.as_bytes()).unwrap();
    refuse(&format!("{opened:?}"), CANARY);
}

#[test]
fn debug_of_api_keys_and_webhook_secrets_shows_no_secret() {
    let minted = ApiKeyToken::mint();
    let secret = &minted.token.expose_secret()[17..];
    let token = ApiKeyToken::parse(minted.token.expose_secret()).unwrap();
    let cache = VerifyCache::new(10);
    assert!(cache.verify(&token, &minted.hash));
    let shown = format!("{minted:?} {minted:#?} {token:?} {token:#?} {cache:?}");
    refuse(&shown, secret);
    assert!(!shown.contains("argon2"));

    let webhook = webhook_secret::mint();
    refuse(&format!("{webhook:?}"), webhook.expose_secret());
}

#[test]
fn no_error_repeats_what_was_given() {
    let (_, good) = MasterKeys::generate("a").unwrap();
    let material = good.expose_secret().strip_prefix("a:").unwrap();
    // A canary in every place where something may be wrong.
    for (text, secret) in [
        (CANARY.to_owned(), CANARY),
        (format!("{CANARY}!:{material}"), CANARY),
        (format!("{material}:a"), material),
        (format!("a:{CANARY}"), CANARY),
        (format!("a:{material}{material}"), material),
        (format!("a:{material},a:{material}"), material),
        (format!("a:{}", "Y2FuYXJ5".repeat(6)), "Y2FuYXJ5"),
        (format!("{material},{material}"), material),
    ] {
        let error = MasterKeys::parse(&SecretString::from(text)).unwrap_err();
        refuse(&format!("{error} {error:?}"), secret);
    }
    let error = ApiKeyToken::parse(CANARY).unwrap_err();
    refuse(&format!("{error} {error:?}"), CANARY);
    let mut mistyped = ApiKeyToken::mint().token.expose_secret().to_owned();
    mistyped.truncate(54);
    mistyped.push('-');
    let error = ApiKeyToken::parse(&mistyped).unwrap_err();
    refuse(&format!("{error} {error:?}"), &mistyped[5..]);
}
