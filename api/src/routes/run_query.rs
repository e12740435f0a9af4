//! The filters of `GET /runs`.

use acm2_domain::error::FieldError;
use acm2_domain::ids::RunId;
use acm2_domain::run::RunStatus;
use acm2_store::runs::Filter;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::page::bad_parameters;
use crate::problem::Failure;

/// The filters as they stand in the query.
#[derive(Debug)]
pub(super) struct RunQuery<'a> {
    pub(super) status: Option<RunStatus>,
    pub(super) tag: Option<String>,
    pub(super) created_from: Option<&'a str>,
    pub(super) created_before: Option<&'a str>,
}

impl RunQuery<'_> {
    /// The store's filter.
    pub(super) fn filter(self, after: Option<Uuid>) -> Result<Filter, Failure> {
        let mut wrong = Vec::new();
        let mut time = |name: &str, text: Option<&str>| -> Option<DateTime<Utc>> {
            let parsed = DateTime::parse_from_rfc3339(text?);
            if parsed.is_err() {
                let detail = "must be a time such as 2026-11-20T12:00:00Z (a + in a query is written %2B)";
                wrong.push(FieldError::new(format!("#query/{name}"), detail));
            }
            parsed.ok().map(|time| time.to_utc())
        };
        let created_from = time("created_from", self.created_from);
        let created_before = time("created_before", self.created_before);
        if self.tag.as_deref().is_some_and(|tag| tag.is_empty() || tag.chars().count() > 64 || tag.contains('\0')) {
            wrong.push(FieldError::new("#query/tag", "must have 1 to 64 characters, none of them U+0000"));
        }
        if !wrong.is_empty() {
            return Err(bad_parameters(wrong));
        }
        let after = after.map(RunId::from);
        Ok(Filter { status: self.status, tag: self.tag, created_from, created_before, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_filter_is_named() {
        let query = RunQuery {
            status: None,
            tag: Some(String::new()),
            created_from: Some("canary"),
            created_before: Some("2026-11-20T12:00:00+02:00"),
        };
        let Err(Failure::Domain(error)) = query.filter(None) else { panic!("accepted") };
        let places: Vec<&str> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(places, ["#query/created_from", "#query/tag"]);
    }
}
