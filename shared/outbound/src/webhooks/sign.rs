//! Signatures of Standard Webhooks (standardwebhooks.com, symmetric `v1`): HMAC-SHA256 over `id.timestamp.payload`. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret that is not `whsec_` and base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret of the webhook endpoint has not the form whsec_ and base64")]
pub(crate) struct MalformedSecret;

/// The value of `webhook-signature`: one signature for each secret, so that receivers may change theirs while both sign.
pub(super) fn signatures(
    secrets: &[SecretString],
    id: &str,
    timestamp: i64,
    payload: &str,
) -> Result<String, MalformedSecret> {
    let signed = secrets.iter().map(|secret| signature(secret, id, timestamp, payload));
    let signed = signed.collect::<Result<Vec<_>, _>>()?;
    if signed.is_empty() { Err(MalformedSecret) } else { Ok(signed.join(" ")) }
}

fn signature(secret: &SecretString, id: &str, timestamp: i64, payload: &str) -> Result<String, MalformedSecret> {
    let encoded = secret.expose_secret().strip_prefix("whsec_").ok_or(MalformedSecret)?;
    let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| MalformedSecret)?);
    if key.is_empty() {
        return Err(MalformedSecret);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| MalformedSecret)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(payload.as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_has_its_signature() {
        // From the specification's reference libraries.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn a_malformed_secret_signs_nothing() {
        for text in ["", "whsec_", "whsec_!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(signatures(&[SecretString::from(text)], "msg", 0, ""), Err(MalformedSecret), "{text}");
        }
        assert_eq!(signatures(&[], "msg", 0, ""), Err(MalformedSecret));
    }
}
