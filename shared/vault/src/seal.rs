//! Sealing one stored secret under a tenant's data key, bound to the place where it is stored.
//!
//! Called by `store` for every secret column: provider keys, webhook secrets and the like. A ciphertext copied to
//! another tenant, table, column or row, or used with another provider or base URL, does not open.

use std::fmt;

use acm2_domain::ids::TenantId;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::data_key::DataKey;
use crate::envelope::{self, FORMAT_VERSION};
use crate::error::OpenError;

/// Where a secret is stored and what it may be used with. It is authenticated, not stored: the caller states the same
/// binding again to open.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// Whose secret it is.
    pub tenant: TenantId,
    /// The table that holds the ciphertext.
    pub table: &'a str,
    /// The column that holds it.
    pub column: &'a str,
    /// The row's id.
    pub row: Uuid,
    /// What else must be the same, in a fixed order: for a provider key the provider's slug and its base URL.
    pub bound_to: &'a [&'a str],
}

impl Binding<'_> {
    /// Every text carries its length, so that no two bindings have the same bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT_VERSION];
        out.extend_from_slice(self.tenant.uuid().as_bytes());
        push_text(&mut out, self.table);
        push_text(&mut out, self.column);
        out.extend_from_slice(self.row.as_bytes());
        out.extend_from_slice(&(self.bound_to.len() as u64).to_be_bytes());
        for part in self.bound_to {
            push_text(&mut out, part);
        }
        out
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A secret as it is stored: format version, nonce, ciphertext with tag; 29 bytes longer than the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The bytes for the column.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes for the column, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl DataKey {
    /// Seals a secret for one place. Two seals of the same secret differ.
    pub fn seal(&self, binding: &Binding<'_>, secret: &SecretString) -> Sealed {
        Sealed(envelope::seal(self.cipher(), &binding.encode(), secret.expose_secret().as_bytes()))
    }

    /// Opens what [`DataKey::seal`] made for the same binding.
    pub fn open(&self, binding: &Binding<'_>, sealed: &[u8]) -> Result<SecretString, OpenError> {
        let plaintext = envelope::open(self.cipher(), &binding.encode(), sealed)?;
        // A copy of exactly this length: turning the vector itself into a secret could leave its old allocation behind.
        std::str::from_utf8(&plaintext).map(SecretString::from).map_err(|_| OpenError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_version_nonce_ciphertext_tag() {
        let key = DataKey::generate();
        let binding = Binding {
            tenant: TenantId::generate(),
            table: "provider_keys",
            column: "sealed",
            row: TenantId::generate().uuid(),
            bound_to: &[],
        };
        let secret = SecretString::from("0123456789");
        let sealed = key.seal(&binding, &secret);
        assert_eq!(sealed.as_bytes().len(), 10 + 29);
        assert_eq!(sealed.as_bytes()[0], 1);
        assert_ne!(sealed, key.seal(&binding, &secret), "the nonce must be fresh");
    }

    #[test]
    fn an_empty_secret_survives() {
        let key = DataKey::generate();
        let binding = Binding {
            tenant: TenantId::generate(),
            table: "",
            column: "",
            row: TenantId::generate().uuid(),
            bound_to: &[],
        };
        let sealed = key.seal(&binding, &SecretString::from(""));
        assert_eq!(key.open(&binding, sealed.as_bytes()).unwrap().expose_secret(), "");
    }

    #[test]
    fn bytes_of_no_known_format_are_malformed() {
        let key = DataKey::generate();
        let binding = Binding {
            tenant: TenantId::generate(),
            table: "a",
            column: "b",
            row: TenantId::generate().uuid(),
            bound_to: &[],
        };
        let mut later = key.seal(&binding, &SecretString::from("x")).into_bytes();
        later[0] = 2;
        for bytes in [&[] as &[u8], &[1], &[1; 28], &later] {
            assert_eq!(key.open(&binding, bytes).unwrap_err(), OpenError::Malformed);
        }
    }
}
