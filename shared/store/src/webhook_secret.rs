//! The tenant's default signing secret, sealed: it signs webhooks to the URL of a run. Called by `api` (show, rotate) and
//! `worker` (sign).

use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::entities::signing_secret::{ActiveModel, Column, Entity};
use crate::error::StoreError;
use crate::tenant_tx::TenantTx;
use crate::webhook_endpoints::PreviousSecret;

/// The row's name.
const NAME: &str = "webhook";

/// The tenant's default signing secret as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecretRow {
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The secret before the last rotation. It may have had its time.
    pub previous: Option<PreviousSecret>,
}

impl fmt::Debug for WebhookSecretRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSecretRow").field("previous", &self.previous).finish_non_exhaustive()
    }
}

/// The secret, if there is one yet.
pub async fn find(tx: &TenantTx) -> Result<Option<WebhookSecretRow>, StoreError> {
    let row = Entity::find_by_id(NAME).one(tx).await?;
    Ok(row.map(|row| WebhookSecretRow {
        sealed: row.sealed,
        previous: PreviousSecret::read(row.previous_sealed, row.previous_until),
    }))
}

/// The secret; the one given becomes it if there is none yet.
pub async fn find_or_insert(
    tx: &TenantTx,
    sealed: Vec<u8>,
    now: DateTime<Utc>,
) -> Result<WebhookSecretRow, StoreError> {
    let values = ActiveModel {
        name: Set(NAME.to_owned()),
        sealed: Set(sealed),
        previous_sealed: Set(None),
        previous_until: Set(None),
        created_at: Set(now),
    };
    let insert = Entity::insert(values).on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned());
    insert.exec_without_returning(tx).await?;
    find(tx).await?.ok_or(StoreError::NotFound("webhook secret"))
}

/// Puts a new secret in the place of the one that was read; the old one, where it is given, goes on signing beside it for a
/// while.
///
/// # Errors
/// `Conflict` if another rotation came between.
pub async fn rotate(
    tx: &TenantTx,
    read: &WebhookSecretRow,
    sealed: Vec<u8>,
    previous: Option<PreviousSecret>,
) -> Result<(), StoreError> {
    let (previous_sealed, until) = previous.map(|previous| (previous.sealed, previous.until)).unzip();
    let update = Entity::update_many()
        .col_expr(Column::Sealed, Expr::value(sealed))
        .col_expr(Column::PreviousSealed, Expr::value(previous_sealed))
        .col_expr(Column::PreviousUntil, Expr::value(until))
        .filter(Column::Name.eq(NAME))
        .filter(Column::Sealed.eq(read.sealed.clone()));
    match update.exec(tx).await?.rows_affected {
        0 => Err(StoreError::Conflict("the secret was rotated at the same moment".to_owned())),
        _ => Ok(()),
    }
}
