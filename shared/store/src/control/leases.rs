//! Locks of which one process at a time holds each, until a time of the database's clock: the sweeper's, for example. A holder
//! that dies lets go by the passing of time.

use std::time::Duration;

use acm2_domain::ids::WorkerId;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};

use super::lease_entity::{Column, Entity};
use crate::database_clock;
use crate::error::StoreError;
use crate::store::Store;

/// Locks of which one process at a time holds each.
#[derive(Debug, Clone, Copy)]
pub struct Leases<'a>(&'a Store);

impl<'a> Leases<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Takes or renews a lock for `duration`. `false` while another holds it.
    pub async fn try_acquire(&self, name: &str, holder: WorkerId, duration: Duration) -> Result<bool, StoreError> {
        let db = self.0.control();
        let backend = db.get_database_backend();
        let free = Expr::col((Entity, Column::ExpiresAt)).lte(database_clock::now(backend));
        let mine = Expr::col((Entity, Column::Holder)).eq(holder.uuid());
        let insert = Query::insert()
            .into_table(Entity)
            .columns([Column::Name, Column::Holder, Column::ExpiresAt])
            .values_panic([Expr::value(name), Expr::value(holder.uuid()), database_clock::from_now(backend, duration)])
            .on_conflict(
                OnConflict::column(Column::Name)
                    .update_columns([Column::Holder, Column::ExpiresAt])
                    .action_and_where(free.or(mine))
                    .to_owned(),
            )
            .to_owned();
        Ok(db.execute(&insert).await?.rows_affected() == 1)
    }
}
