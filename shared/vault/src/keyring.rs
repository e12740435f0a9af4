//! The master keys of this process with the data keys that it unwrapped lately.
//!
//! One lives in each process; `store` asks it for a tenant's data key before it seals or opens a column. The cache is
//! keyed by the wrapped bytes themselves, so a re-wrapped or replaced data key is another entry and never a stale one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::ids::TenantId;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::data_key::{DataKey, WrappedDataKey};
use crate::error::OpenError;
use crate::master_keys::MasterKeys;

/// Data keys kept unwrapped, about 0.5 KiB each. Missing one costs a few microseconds.
const CAPACITY: u64 = 4_096;
/// How long at most: so that a deleted tenant's key leaves the memory of processes that did not take part.
const KEPT_FOR: Duration = Duration::from_mins(15);

/// Master keys and a bounded cache. `Debug` shows ids and counts only.
pub struct Keyring {
    master_keys: MasterKeys,
    unwrapped: Cache<[u8; 32], Arc<DataKey>>,
}

impl Keyring {
    /// A keyring with nothing unwrapped yet.
    pub fn new(master_keys: MasterKeys) -> Self {
        Self::with_capacity(master_keys, CAPACITY)
    }

    fn with_capacity(master_keys: MasterKeys, capacity: u64) -> Self {
        let unwrapped = Cache::builder().max_capacity(capacity).time_to_live(KEPT_FOR).build();
        Self { master_keys, unwrapped }
    }

    /// To wrap a new tenant's data key and to re-wrap in a rotation.
    pub fn master_keys(&self) -> &MasterKeys {
        &self.master_keys
    }

    /// The tenant's data key, unwrapped now or lately. A failure is not remembered.
    pub fn data_key(&self, tenant: TenantId, wrapped: &WrappedDataKey) -> Result<Arc<DataKey>, OpenError> {
        let entry = entry_of(tenant, wrapped);
        if let Some(data_key) = self.unwrapped.get(&entry) {
            return Ok(data_key);
        }
        let data_key = Arc::new(self.master_keys.unwrap(wrapped, tenant)?);
        self.unwrapped.insert(entry, Arc::clone(&data_key));
        Ok(data_key)
    }

    /// Drops a data key from memory, when its tenant is deleted or it was replaced.
    pub fn forget(&self, tenant: TenantId, wrapped: &WrappedDataKey) {
        self.unwrapped.invalidate(&entry_of(tenant, wrapped));
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("master_keys", &self.master_keys)
            .field("unwrapped", &self.unwrapped.entry_count())
            .finish()
    }
}

fn entry_of(tenant: TenantId, wrapped: &WrappedDataKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(tenant.uuid().as_bytes());
    hash.update((wrapped.master_key_id.len() as u64).to_be_bytes());
    hash.update(&wrapped.master_key_id);
    hash.update(&wrapped.bytes);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(capacity: u64) -> Keyring {
        Keyring::with_capacity(MasterKeys::generate("a").unwrap().0, capacity)
    }

    fn new_tenant(keyring: &Keyring) -> (TenantId, WrappedDataKey) {
        let tenant = TenantId::generate();
        (tenant, keyring.master_keys().wrap(&DataKey::generate(), tenant))
    }

    #[test]
    fn a_second_use_does_not_unwrap_again() {
        let keyring = keyring(10);
        let (tenant, wrapped) = new_tenant(&keyring);
        let first = keyring.data_key(tenant, &wrapped).unwrap();
        let second = keyring.data_key(tenant, &wrapped).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        keyring.forget(tenant, &wrapped);
        let third = keyring.data_key(tenant, &wrapped).unwrap();
        assert!(!Arc::ptr_eq(&first, &third));
        assert_eq!(first.raw(), third.raw());
    }

    #[test]
    fn the_cache_never_answers_for_another_tenant_or_other_bytes() {
        let keyring = keyring(10);
        let (tenant, wrapped) = new_tenant(&keyring);
        keyring.data_key(tenant, &wrapped).unwrap();
        let other = TenantId::generate();
        assert_eq!(keyring.data_key(other, &wrapped).unwrap_err(), OpenError::DoesNotOpen);
        let mut changed = wrapped.clone();
        changed.bytes[20] ^= 1;
        assert_eq!(keyring.data_key(tenant, &changed).unwrap_err(), OpenError::DoesNotOpen);
        let renamed = WrappedDataKey { master_key_id: "b".into(), ..wrapped.clone() };
        assert_eq!(keyring.data_key(tenant, &renamed).unwrap_err(), OpenError::UnknownMasterKey { id: "b".into() });
        assert!(keyring.data_key(tenant, &wrapped).is_ok());
    }

    #[test]
    fn the_cache_is_bounded() {
        let keyring = keyring(8);
        let tenants: Vec<_> = (0..200).map(|_| new_tenant(&keyring)).collect();
        for (tenant, wrapped) in &tenants {
            keyring.data_key(*tenant, wrapped).unwrap();
        }
        keyring.unwrapped.run_pending_tasks();
        assert!(keyring.unwrapped.entry_count() <= 8);
        for (tenant, wrapped) in &tenants {
            assert!(keyring.data_key(*tenant, wrapped).is_ok());
        }
    }
}
