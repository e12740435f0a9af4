//! Ids as the HTTP API and the provider's log spell them (`run_01jd…`), turned into those of the stores, and back.

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The UUID of an id; `None` for anything else.
pub(crate) fn uuid_of(id: &str) -> Option<Uuid> {
    let (_, letters) = id.split_once('_')?;
    if letters.len() != 26 {
        return None;
    }
    letters
        .bytes()
        .try_fold(0_u128, |bits, byte| {
            let value = ALPHABET.iter().position(|letter| *letter == byte)?;
            Some((bits << 5) | value as u128)
        })
        .map(Uuid::from_u128)
}

/// The id of a UUID.
pub(crate) fn id_of(prefix: &str, id: Uuid) -> String {
    let bits = id.as_u128();
    let letters = (0..26).rev().map(|place| char::from(ALPHABET[((bits >> (5 * place)) & 31) as usize]));
    format!("{prefix}_{}", letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_way_there_and_back() {
        let id = Uuid::now_v7();
        assert_eq!(uuid_of(&id_of("run", id)), Some(id));
        assert_eq!(uuid_of("run_short"), None);
    }
}
