//! A sealed secret opens in its place and nowhere else; rotation keeps it openable.

#![expect(clippy::unwrap_used, reason = "tests")]

use acm2_domain::ids::TenantId;
use acm2_vault::data_key::{DataKey, WrappedDataKey};
use acm2_vault::error::OpenError;
use acm2_vault::keyring::Keyring;
use acm2_vault::master_keys::MasterKeys;
use acm2_vault::seal::Binding;
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// A binding that owns its parts, so that proptest can make it.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    tenant: u128,
    table: String,
    column: String,
    row: u128,
    bound_to: Vec<String>,
}

impl Place {
    fn with<T>(&self, use_it: impl FnOnce(&Binding<'_>) -> T) -> T {
        let bound_to: Vec<&str> = self.bound_to.iter().map(String::as_str).collect();
        use_it(&Binding {
            tenant: TenantId::from(Uuid::from_u128(self.tenant)),
            table: &self.table,
            column: &self.column,
            row: Uuid::from_u128(self.row),
            bound_to: &bound_to,
        })
    }

    fn seal(&self, key: &DataKey, secret: &str) -> Vec<u8> {
        self.with(|binding| key.seal(binding, &SecretString::from(secret)).into_bytes())
    }

    fn open(&self, key: &DataKey, sealed: &[u8]) -> Result<String, OpenError> {
        self.with(|binding| key.open(binding, sealed)).map(|secret| secret.expose_secret().to_owned())
    }

    /// Every place that differs from this one in one part, or in where one part ends and the next begins.
    fn neighbours(&self) -> Vec<Place> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Place)| {
            let mut place = self.clone();
            change(&mut place);
            all.push(place);
        };
        add(&|p| p.tenant ^= 1);
        add(&|p| p.tenant ^= 1 << 127);
        add(&|p| p.row ^= 1);
        add(&|p| std::mem::swap(&mut p.tenant, &mut p.row));
        add(&|p| p.table.push('x'));
        add(&|p| p.column.push('x'));
        add(&|p| std::mem::swap(&mut p.table, &mut p.column));
        add(&|p| p.bound_to.push(String::new()));
        add(&|p| p.bound_to.insert(0, String::new()));
        add(&|p| p.bound_to.clear());
        add(&|p| p.bound_to.reverse());
        add(&|p| p.bound_to = vec![p.bound_to.concat()]);
        // A letter moves over the border between two parts.
        add(&|p| {
            if let Some(letter) = p.table.pop() {
                p.column.insert(0, letter);
            }
        });
        add(&|p| {
            if !p.column.is_empty() {
                let letter = p.column.remove(0);
                p.table.push(letter);
            }
        });
        for index in 0..self.bound_to.len() {
            add(&|p| p.bound_to[index].push('x'));
            add(&|p| {
                p.bound_to.remove(index);
            });
            add(&|p| p.bound_to[index] = p.bound_to[index].to_uppercase());
            if index > 0 {
                add(&|p| {
                    if let Some(letter) = p.bound_to[index - 1].pop() {
                        p.bound_to[index].insert(0, letter);
                    }
                });
            }
        }
        all.retain(|place| place != self);
        all
    }
}

fn places() -> impl Strategy<Value = Place> {
    let text = "[a-zA-Z0-9:/._-]{0,12}|\\PC{0,6}";
    (any::<u128>(), text, text, any::<u128>(), prop::collection::vec(text, 0..4))
        .prop_map(|(tenant, table, column, row, bound_to)| Place { tenant, table, column, row, bound_to })
}

fn master_keys(ids: &[&str]) -> MasterKeys {
    MasterKeys::parse(&SecretString::from(master_key_texts(ids).join(","))).unwrap()
}

fn master_key_texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| MasterKeys::generate(id).unwrap().1.expose_secret().to_owned()).collect()
}

proptest! {
    #[test]
    fn a_secret_opens_in_its_own_place_only(place in places(), other in places(), secret in "\\PC{0,80}") {
        let key = DataKey::generate();
        let sealed = place.seal(&key, &secret);
        prop_assert_eq!(place.open(&key, &sealed), Ok(secret));
        for elsewhere in place.neighbours() {
            prop_assert_eq!(elsewhere.open(&key, &sealed), Err(OpenError::DoesNotOpen), "opened in {:?}", elsewhere);
        }
        if other != place {
            prop_assert_eq!(other.open(&key, &sealed), Err(OpenError::DoesNotOpen));
        }
        prop_assert_eq!(place.open(&DataKey::generate(), &sealed), Err(OpenError::DoesNotOpen));
    }

    #[test]
    fn a_secret_with_any_bit_flipped_or_any_cut_does_not_open(place in places(), secret in "\\PC{0,20}", bit in 0_u32..8) {
        let key = DataKey::generate();
        let sealed = place.seal(&key, &secret);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1 << bit;
            prop_assert!(place.open(&key, &changed).is_err(), "byte {} flipped", index);
            prop_assert!(place.open(&key, &sealed[..index]).is_err(), "cut to {}", index);
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        prop_assert!(place.open(&key, &longer).is_err());
    }

    #[test]
    fn any_bytes_at_all_are_refused_without_a_panic(place in places(), bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(place.open(&DataKey::generate(), &bytes).is_err());
        let wrapped = WrappedDataKey { master_key_id: "a".into(), bytes };
        let tenant = TenantId::from(Uuid::from_u128(place.tenant));
        prop_assert!(master_keys(&["a"]).unwrap(&wrapped, tenant).is_err());
    }

    #[test]
    fn any_text_of_master_keys_is_read_or_refused_without_a_panic(text in "\\PC{0,120}|[a-z0-9:,=+/ ]{0,120}") {
        let _ = MasterKeys::parse(&SecretString::from(text));
    }
}

#[test]
fn a_provider_key_needs_the_same_provider_and_base_url() {
    let key = DataKey::generate();
    let (tenant, row) = (TenantId::generate(), Uuid::from_u128(7));
    let place = |provider: &str, base_url: &str| Place {
        tenant: tenant.uuid().as_u128(),
        table: "provider_keys".into(),
        column: "sealed".into(),
        row: row.as_u128(),
        bound_to: vec![provider.into(), base_url.into()],
    };
    let home = place("openai", "https://api.openai.com/v1");
    let sealed = home.seal(&key, "sk-1");
    assert_eq!(home.open(&key, &sealed).unwrap(), "sk-1");
    for elsewhere in [
        place("openai", "https://evil.example/v1"),
        place("openai", "https://api.openai.com/v1/"),
        place("openrouter", "https://api.openai.com/v1"),
        place("openaih", "ttps://api.openai.com/v1"),
        place("https://api.openai.com/v1", "openai"),
    ] {
        assert_eq!(elsewhere.open(&key, &sealed), Err(OpenError::DoesNotOpen), "{elsewhere:?}");
    }
}

#[test]
fn a_data_key_opens_for_its_tenant_only() {
    let keys = master_keys(&["a"]);
    let tenant = TenantId::generate();
    let wrapped = keys.wrap(&DataKey::generate(), tenant);
    assert!(keys.unwrap(&wrapped, tenant).is_ok());
    assert_eq!(keys.unwrap(&wrapped, TenantId::generate()).unwrap_err(), OpenError::DoesNotOpen);
    for index in 0..wrapped.bytes.len() {
        let mut changed = wrapped.clone();
        changed.bytes[index] ^= 0x10;
        assert!(keys.unwrap(&changed, tenant).is_err(), "byte {index} flipped");
        changed.bytes.truncate(index);
        assert_eq!(keys.unwrap(&changed, tenant).unwrap_err(), OpenError::Malformed);
    }
}

#[test]
fn another_master_key_of_the_same_id_opens_nothing() {
    let tenant = TenantId::generate();
    let wrapped = master_keys(&["a"]).wrap(&DataKey::generate(), tenant);
    assert_eq!(master_keys(&["a"]).unwrap(&wrapped, tenant).unwrap_err(), OpenError::DoesNotOpen);
    assert_eq!(
        master_keys(&["b"]).unwrap(&wrapped, tenant).unwrap_err(),
        OpenError::UnknownMasterKey { id: "a".into() }
    );
}

#[test]
fn a_rotation_keeps_every_secret_openable() {
    let tenant = TenantId::generate();
    let texts = master_key_texts(&["old", "new"]);
    let parse = |list: &[&String]| {
        let list: Vec<&str> = list.iter().map(|text| text.as_str()).collect();
        MasterKeys::parse(&SecretString::from(list.join(","))).unwrap()
    };
    let place = Place { tenant: 1, table: "t".into(), column: "c".into(), row: 2, bound_to: vec![] };

    let before = parse(&[&texts[0]]);
    let data_key = DataKey::generate();
    let wrapped = before.wrap(&data_key, tenant);
    let sealed = place.seal(&data_key, "kept");

    let during = parse(&[&texts[1], &texts[0]]);
    assert_eq!(during.newest_id(), "new");
    assert_eq!(place.open(&during.unwrap(&wrapped, tenant).unwrap(), &sealed).unwrap(), "kept");
    let rewrapped = during.rewrap(&wrapped, tenant).unwrap();
    assert_eq!(rewrapped.master_key_id, "new");
    assert_eq!(during.rewrap(&wrapped, TenantId::generate()).unwrap_err(), OpenError::DoesNotOpen);
    // A rotation that stopped half-way does the same again.
    let again = during.rewrap(&rewrapped, tenant).unwrap();
    assert_eq!(again.master_key_id, "new");

    let after = Keyring::new(parse(&[&texts[1]]));
    for wrapped in [&rewrapped, &again] {
        assert_eq!(place.open(&after.data_key(tenant, wrapped).unwrap(), &sealed).unwrap(), "kept");
    }
    assert_eq!(after.data_key(tenant, &wrapped).unwrap_err(), OpenError::UnknownMasterKey { id: "old".into() });
}
