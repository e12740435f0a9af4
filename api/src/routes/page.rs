//! Pages of lists: an opaque cursor that names the last item of the page before.

use acm2_domain::error::{Error, FieldError, Kind};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::problem::Failure;

const USUAL: u64 = 20;
const MOST: u64 = 100;

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// The last item of the page before.
    pub(super) after: Option<Uuid>,
    /// How many items it may have.
    pub(super) limit: u64,
}

impl Page {
    /// From the query parameters `cursor` and `limit`.
    pub(super) fn new(cursor: Option<&str>, limit: Option<u32>) -> Result<Self, Failure> {
        let mut wrong = Vec::new();
        let after = cursor.map(|text| decode(text).ok_or(())).transpose().unwrap_or_else(|()| {
            wrong.push(FieldError::new("#query/cursor", "is not one that a page gave as next_cursor"));
            None
        });
        let limit = limit.map_or(USUAL, u64::from);
        if !(1..=MOST).contains(&limit) {
            wrong.push(FieldError::new("#query/limit", format!("must be from 1 to {MOST}")));
        }
        if wrong.is_empty() { Ok(Self { after, limit }) } else { Err(bad_parameters(wrong)) }
    }

    /// How many to ask the store for: one more than the page has tells whether there is another page.
    pub(super) const fn fetch(self) -> u64 {
        self.limit + 1
    }

    /// Cuts what was fetched to the page; the cursor of the next one, if there is one.
    pub(super) fn cut<T>(self, items: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if items.len() <= limit {
            return None;
        }
        items.truncate(limit);
        items.last().map(|last| Self::cursor_after(id(last)))
    }

    /// The cursor of the page that begins after this item.
    pub(super) fn cursor_after(id: Uuid) -> String {
        encode(id)
    }
}

/// The failure of query parameters that were read and are not allowed.
pub(super) fn bad_parameters(fields: Vec<FieldError>) -> Failure {
    let detail = "a parameter of the request is not allowed; see errors";
    Failure::Domain(Error { fields, ..Error::new(Kind::Malformed, "bad_parameter", detail) })
}

fn encode(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

fn decode(text: &str) -> Option<Uuid> {
    Uuid::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_begins_after_the_last_item() {
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let page = Page::new(None, Some(2)).unwrap();
        let mut items = ids.clone();
        let cursor = page.cut(&mut items, |id| *id).unwrap();
        assert_eq!(items, ids[..2]);
        assert_eq!(Page::new(Some(&cursor), None).unwrap().after, Some(ids[1]));
        let mut last = vec![ids[2]];
        assert_eq!(page.cut(&mut last, |id| *id), None);
    }

    #[test]
    fn both_wrong_parameters_are_told() {
        let Err(Failure::Domain(error)) = Page::new(Some("canary!"), Some(0)) else { panic!("accepted") };
        assert_eq!(error.fields.len(), 2);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
