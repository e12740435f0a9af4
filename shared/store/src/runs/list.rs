//! Pages of runs, newest first.

use acm2_domain::ids::RunId;
use acm2_domain::run::RunStatus;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::row::RunRow;
use super::run_entity::{Column, Entity};
use crate::{StoreError, TenantTx};

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those of this status.
    pub status: Option<RunStatus>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those submitted at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Only those submitted before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Only those before this one in the list: the last one of the page before.
    pub after: Option<RunId>,
}

/// At most `limit` runs, newest first. Ids made later sort later, so their order is the order of submission.
pub async fn list(tx: &TenantTx, filter: &Filter, limit: u64) -> Result<Vec<RunRow>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status.as_str()));
    }
    if let Some(tag) = &filter.tag {
        query = query.filter(Expr::col(Column::Tags).like(LikeExpr::new(tag_pattern(tag)).escape('!')));
    }
    if let Some(from) = filter.created_from {
        query = query.filter(Column::CreatedAt.gte(from));
    }
    if let Some(before) = filter.created_before {
        query = query.filter(Column::CreatedAt.lt(before));
    }
    if let Some(after) = filter.after {
        query = query.filter(Column::Id.lt(after.uuid()));
    }
    query.all(tx).await?.into_iter().map(RunRow::try_from).collect()
}

/// The tags are a JSON array of strings: a tag is in it exactly where its JSON form is.
fn tag_pattern(tag: &str) -> String {
    let json = serde_json::Value::String(tag.to_owned()).to_string();
    let mut pattern = String::with_capacity(json.len() + 2);
    pattern.push('%');
    for letter in json.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
