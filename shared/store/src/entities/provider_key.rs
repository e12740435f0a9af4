//! The table `provider_keys`: the tenant's sealed secrets for LLM providers. Only `provider_keys` sees it.

#![expect(unreachable_pub, reason = "the derived code is pub, so its parts must be")]

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub provider: String,
    pub label: String,
    pub sealed: Vec<u8>,
    pub prefix: String,
    pub last4: String,
    pub base_url: Option<String>,
    pub is_default: bool,
    pub is_active: bool,
    pub status: String,
    pub status_detail: Option<String>,
    pub tested_at: Option<ChronoDateTimeUtc>,
    pub last_used_at: Option<ChronoDateTimeUtc>,
    pub created_at: ChronoDateTimeUtc,
    pub updated_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
