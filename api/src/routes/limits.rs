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
/// Documents.
pub(super) const DOCUMENTS: u64 = 10_000;
/// Templates, and criteria sets, and presets: of each so many.
pub(super) const LIBRARY_ITEMS: u64 = 1_000;
/// Versions of one preset; the oldest goes for one more.
pub(super) const PRESET_VERSIONS: u32 = 1_000;
/// Conversations.
pub(super) const CONVERSATIONS: u64 = 10_000;
/// Messages of one conversation.
pub(super) const MESSAGES: u64 = 10_000;

/// Refuses one more where there are `most` already.
pub(super) fn refuse_beyond(present: u64, most: u64, what: &str) -> Result<(), Error> {
    if present < most {
        return Ok(());
    }
    let detail = format!("there are {most} {what}, as many as a tenant may have; delete one that is not needed");
    Err(Error::new(Kind::Conflict, "limit_reached", detail))
}

/// Refuses what would come to `after` parts of a thing that may have `most`; `what` says of what, and the way out.
pub(super) fn refuse_longer(after: u64, most: u64, what: &str) -> Result<(), Error> {
    if after <= most {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, "limit_reached", format!("there may be {most} {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_taken_and_one_more_is_not() {
        assert_eq!(refuse_beyond(19, WEBHOOK_ENDPOINTS, "webhook endpoints"), Ok(()));
        let error = refuse_beyond(20, WEBHOOK_ENDPOINTS, "webhook endpoints").unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Conflict, "limit_reached"));
        assert_eq!(refuse_longer(MESSAGES, MESSAGES, "messages"), Ok(()));
        assert_eq!(refuse_longer(MESSAGES + 1, MESSAGES, "messages").unwrap_err().code, "limit_reached");
    }
}
