//! How many things of a kind a tenant may have: each is read, sealed or sent to again and again. Called by the routes that make
//! them, in the transaction that does, so that a few more can be there only where requests came at the same moment.

use acm2_domain::error::{Error, Kind};

/// Webhook endpoints: every event goes to each.
pub(super) const WEBHOOK_ENDPOINTS: u64 = 20;
/// Provider keys: all of them are listed at once.
pub(super) const PROVIDER_KEYS: u64 = 100;
/// API keys that hold; revoked and expired ones do not count.
pub(super) const API_KEYS: u64 = 200;
/// Budgets: two for the tenant and two for each of its keys, with room for those of keys that hold no more.
pub(super) const BUDGETS: u64 = 500;

/// Refuses one more where there are `most` already.
pub(super) fn refuse_beyond(present: u64, most: u64, what: &str) -> Result<(), Error> {
    if present < most {
        return Ok(());
    }
    let detail = format!("there are {most} {what}, as many as a tenant may have; delete one that is not needed");
    Err(Error::new(Kind::Conflict, "limit_reached", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_taken_and_one_more_is_not() {
        assert_eq!(refuse_beyond(19, WEBHOOK_ENDPOINTS, "webhook endpoints"), Ok(()));
        let error = refuse_beyond(20, WEBHOOK_ENDPOINTS, "webhook endpoints").unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Conflict, "limit_reached"));
    }
}
