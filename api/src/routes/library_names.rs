//! Names of items of the library: each the only one of its kind.

use acm2_domain::error::{Error, Kind};
use acm2_store::StoreError;

use crate::problem::Failure;

/// What a write of an item that met another one of the same name is refused with.
pub(super) fn taken(error: StoreError, what: &str) -> Failure {
    if error.is_conflict() {
        let detail = format!("there is a {what} of this name already; change that one, or choose another name");
        return Error::new(Kind::Conflict, "name_taken", detail).into();
    }
    error.into()
}
