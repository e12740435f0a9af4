//! What an earlier release stored still opens: known answers, computed by another implementation (Python's `cryptography`
//! for AES-256-GCM-SIV, its standard library for HMAC). A failure here means that stored secrets would be lost.

use acm2_domain::ids::TenantId;
use acm2_vault::data_key::WrappedDataKey;
use acm2_vault::master_keys::MasterKeys;
use acm2_vault::seal::Binding;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// SHA-256 of "an example master key".
const MASTER_KEYS: &str = "2026a:ea/zv4R7XH3Q8ZRJaE2UEcZgvp39MDL1TfjfuQry1Mo=";
/// The bytes 100 to 131, wrapped for [`TENANT`] under the nonce 1 to 12.
const WRAPPED: &str = "010102030405060708090a0b0cfc5c7069bfdaf0dd33d5ccbdda9a4cc7f0b74b824edccc840a3ead530063c6f2fc01f7856dc1a3ace74a1e2edc4787fa";
/// "sk-test", sealed under the same nonce.
const SEALED: &str = "010102030405060708090a0b0cc4841943ba75ea644c329f1de949edd14326c3659456e6";
/// Of "{}" for the purpose "idempotency".
const FINGERPRINT: &str = "bc858091d0f3cc2ed0c40216dc9080fa0e5023ab22f907acc8767eff29587e53";

const TENANT: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001);
const ROW: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0002);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn a_secret_of_the_first_format_opens() {
    let keys = MasterKeys::parse(&SecretString::from(MASTER_KEYS)).unwrap();
    let wrapped = WrappedDataKey { master_key_id: "2026a".into(), bytes: bytes(WRAPPED) };
    let tenant = TenantId::from(TENANT);
    let data_key = keys.unwrap(&wrapped, tenant).unwrap();
    let binding = Binding {
        tenant,
        table: "provider_keys",
        column: "sealed",
        row: ROW,
        bound_to: &["openai", "https://api.openai.com/v1"],
    };
    assert_eq!(data_key.open(&binding, &bytes(SEALED)).unwrap().expose_secret(), "sk-test");
    assert_eq!(data_key.fingerprint("idempotency", b"{}"), FINGERPRINT);
}
