//! Texts of tasks: how long they are, and some of them. They are what a run has much of, so whoever looks at a whole run reads rows
//! without texts (`list_settled_without_texts`) and the texts a few at a time.

use std::collections::BTreeMap;

use acm2_domain::ids::RunId;
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use super::task_entity::{Column, Entity};
use super::tasks::{TaskRow, read};
use crate::column::unsigned;
use crate::{StoreError, TenantTx};

/// What counts as blank, as `str::trim` has it.
const BLANKS: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\
    \u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

/// How many bytes the texts of these tasks of a run have, by key; of those that are settled with one.
pub async fn measure_texts<'a>(
    tx: &TenantTx,
    run: RunId,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let bytes = Expr::from(Func::cust("octet_length").arg(Expr::col(Column::Text))).cast_as("bigint");
    let rows: Vec<(String, i64)> = of(run, keys)
        .select_only()
        .column(Column::Key)
        .expr_as(bytes, "bytes")
        .filter(Column::Text.is_not_null())
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|(key, bytes)| (key, unsigned(bytes))).collect())
}

/// How many bytes all texts of a run have.
pub async fn measure_run(tx: &TenantTx, run: RunId) -> Result<u64, StoreError> {
    let bytes: Option<Option<i64>> = Entity::find()
        .select_only()
        .expr_as(Expr::cust("CAST(SUM(octet_length(text)) AS bigint)"), "bytes")
        .filter(Column::RunId.eq(run.uuid()))
        .into_tuple()
        .one(tx)
        .await?;
    Ok(bytes.flatten().map_or(0, unsigned))
}

/// Those of these tasks of a run that are settled, with their texts, by key.
pub async fn list_some_tasks<'a>(
    tx: &TenantTx,
    run: RunId,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, TaskRow>, StoreError> {
    let rows = of(run, keys).all(tx).await?;
    rows.into_iter().map(|row| Ok((row.key.clone(), read(row)?))).collect()
}

/// The texts of these tasks of a run, by key; at most so many characters of each.
pub async fn list_texts<'a>(
    tx: &TenantTx,
    run: RunId,
    keys: impl IntoIterator<Item = &'a str>,
    characters: i32,
) -> Result<BTreeMap<String, String>, StoreError> {
    cut(tx, run, keys, Expr::col(Column::Text), characters).await
}

/// The same without the blanks in front: nothing of a text that is blank.
pub async fn list_beginnings<'a>(
    tx: &TenantTx,
    run: RunId,
    keys: impl IntoIterator<Item = &'a str>,
    characters: i32,
) -> Result<BTreeMap<String, String>, StoreError> {
    let text = Func::cust("ltrim").args([Expr::col(Column::Text), Expr::value(BLANKS)]);
    cut(tx, run, keys, Expr::from(text), characters).await
}

async fn cut<'a>(
    tx: &TenantTx,
    run: RunId,
    keys: impl IntoIterator<Item = &'a str>,
    text: Expr,
    characters: i32,
) -> Result<BTreeMap<String, String>, StoreError> {
    let text = Func::cust("substr").args([text, Expr::value(1), Expr::value(characters)]);
    let rows: Vec<(String, String)> = of(run, keys)
        .select_only()
        .column(Column::Key)
        .expr_as(Expr::from(text), "text")
        .filter(Column::Text.is_not_null())
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

fn of<'a>(run: RunId, keys: impl IntoIterator<Item = &'a str>) -> Select<Entity> {
    Entity::find().filter(Column::RunId.eq(run.uuid())).filter(Column::Key.is_in(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_those_that_are_trimmed() {
        let all: String = (char::MIN..=char::MAX).filter(|letter| letter.is_whitespace()).collect();
        assert_eq!(BLANKS, all);
    }
}
