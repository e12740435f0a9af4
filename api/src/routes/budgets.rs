//! `budgets`: what runs may cost in a day or a month.

use acm2_domain::budget::{BudgetPeriod, HIGHEST_LIMIT};
use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::{ApiKeyId, BudgetId};
use acm2_domain::money::Usd;
use acm2_store::StoreError;
use acm2_store::budgets::{self as store, NewBudget as NewRow, Standing};
use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::Tag;
use super::limits;
use super::listing::list_of;
use super::page::Page;
use crate::app::App;
use crate::auth::{Allowed, BudgetsRead, BudgetsWrite, Caller};
use crate::body::{Body, Check};
use crate::idempotency::Idempotency;
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};

/// A budget that shall be made.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBudget {
    /// The API key whose runs it bounds; all runs of the tenant where absent.
    #[oai(skip_serializing_if_is_none)]
    pub api_key_id: Option<ApiKeyId>,
    /// For how long it counts before it starts anew, in UTC.
    pub period: BudgetPeriod,
    /// What runs may cost in a period, such as `"25"`; at most 1000000. With `"0"` no run that can cost anything is taken.
    pub limit_usd: Usd,
}

/// A change of a budget.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetPatch {
    /// What runs may cost in a period; less than what is spent stops new ones.
    pub limit_usd: Usd,
}

impl Check for NewBudget {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check_limit(self.limit_usd)
    }
}

impl Check for BudgetPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check_limit(self.limit_usd)
    }
}

fn check_limit(limit: Usd) -> Vec<FieldError> {
    if limit <= HIGHEST_LIMIT {
        return Vec::new();
    }
    vec![FieldError::new("/limit_usd", format!("must be at most {HIGHEST_LIMIT}"))]
}

/// A budget and how it stands in the present period.
#[derive(Debug, Serialize, Object)]
pub(super) struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// The API key whose runs it bounds; null for all runs of the tenant.
    #[oai(skip_serializing_if_is_none)]
    pub api_key_id: Option<ApiKeyId>,
    /// For how long it counts before it starts anew, in UTC.
    pub period: BudgetPeriod,
    /// What runs may cost in a period.
    pub limit_usd: Usd,
    /// What runs that have ended have cost, attempts in doubt at their worst case.
    pub spent_usd: Usd,
    /// What runs that have not ended have reserved: their ceiling, or their worst case.
    pub reserved_usd: Usd,
    /// What a new run may reserve; never less than 0.
    pub left_usd: Usd,
    /// When the present period began.
    pub starts_at: DateTime<Utc>,
    /// When the next one begins.
    pub resets_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Standing> for Budget {
    fn from(standing: Standing) -> Self {
        let left_usd = standing.left();
        let Standing { budget, spent, reserved, starts_at, resets_at } = standing;
        Self {
            id: budget.id,
            api_key_id: budget.api_key,
            period: budget.period,
            limit_usd: budget.limit,
            spent_usd: spent,
            reserved_usd: reserved,
            left_usd,
            starts_at,
            resets_at,
            created_at: budget.created_at,
            updated_at: budget.updated_at,
        }
    }
}

list_of! {
    /// A page of budgets, newest first.
    BudgetList of Budget
}

/// `budgets`.
pub(super) struct Budgets;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Budgets")]
impl Budgets {
    /// Make a budget.
    ///
    /// Needs the scope `budgets:write`. It counts runs that are submitted from now on. The tenant and each API key can have one
    /// for a day and one for a month; a run must fit into all that apply to it.
    #[oai(path = "/budgets", method = "post", operation_id = "budgets.create")]
    async fn create(
        &self,
        caller: Allowed<BudgetsWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewBudget>,
    ) -> Result<Created<Budget>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "budgets.create", name.as_deref(), &body.digest).await?;
        let NewBudget { api_key_id, period, limit_usd } = body.value;
        check_api_key(&caller, api_key_id).await?;
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&path_of(BudgetId::from(earlier.subject))));
        }
        limits::refuse_beyond(store::count(&tx).await?, limits::BUDGETS, "budgets")?;
        let new = NewRow { id: BudgetId::generate(), api_key: api_key_id, period, limit: limit_usd };
        let row = store::insert(&tx, new, now).await.map_err(taken)?;
        let budget = Budget::from(store::standing(&tx, row, now).await?);
        idempotency.finish(&tx, budget.id.uuid(), Some(&budget)).await?;
        tx.commit().await?;
        let location = path_of(budget.id);
        Ok(Created::new(budget).location(&location))
    }

    /// List budgets.
    ///
    /// Needs the scope `budgets:read`. Newest first, each as it stands in the present period.
    #[oai(path = "/budgets", method = "get", operation_id = "budgets.list")]
    async fn list(
        &self,
        caller: Allowed<BudgetsRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many budgets a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<BudgetList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx, page.after.map(BudgetId::from), page.fetch()).await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(store::standing(&tx, row, now).await?.into());
        }
        tx.commit().await?;
        Ok(Reply::new(BudgetList { items, next_cursor }))
    }

    /// Get a budget.
    ///
    /// Needs the scope `budgets:read`.
    #[oai(path = "/budgets/:budget_id", method = "get", operation_id = "budgets.get")]
    async fn get(&self, caller: Allowed<BudgetsRead>, budget_id: Path<BudgetId>) -> Result<Reply<Budget>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, budget_id.0).await?;
        let standing = store::standing(&tx, row, caller.app.clock.now()).await?;
        tx.commit().await?;
        Ok(Reply::new(standing.into()))
    }

    /// Change a budget's limit.
    ///
    /// Needs the scope `budgets:write`. Holds from the next submission on; runs under way keep what they have reserved.
    #[oai(path = "/budgets/:budget_id", method = "patch", operation_id = "budgets.update")]
    async fn update(
        &self,
        caller: Allowed<BudgetsWrite>,
        budget_id: Path<BudgetId>,
        body: Body<BudgetPatch>,
    ) -> Result<Reply<Budget>, Failure> {
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        let row = store::set_limit(&tx, budget_id.0, body.value.limit_usd, now).await?;
        let standing = store::standing(&tx, row, now).await?;
        tx.commit().await?;
        Ok(Reply::new(standing.into()))
    }

    /// Delete a budget.
    ///
    /// Needs the scope `budgets:write`. What was counted is forgotten; runs under way keep the ceiling that they got from it.
    #[oai(path = "/budgets/:budget_id", method = "delete", operation_id = "budgets.delete")]
    async fn delete(&self, caller: Allowed<BudgetsWrite>, budget_id: Path<BudgetId>) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, budget_id.0).await?;
        tx.commit().await?;
        Ok(NoContent)
    }
}

fn path_of(budget: BudgetId) -> String {
    format!("/api/v1/budgets/{budget}")
}

/// A budget is made for a key that there is and that was not revoked.
async fn check_api_key(caller: &Caller, api_key: Option<ApiKeyId>) -> Result<(), Failure> {
    let Some(id) = api_key else { return Ok(()) };
    let wrong = match caller.app.store.api_keys().get(caller.tenant, id).await {
        Ok(key) if key.revoked_at.is_none() => return Ok(()),
        Ok(_) => "this API key is revoked, so it needs no budget",
        Err(StoreError::NotFound(_)) => "there is no such API key",
        Err(error) => return Err(error.into()),
    };
    Err(Error::invalid(vec![FieldError::new("/api_key_id", wrong)]).into())
}

fn taken(error: StoreError) -> Failure {
    if error.is_conflict() {
        let detail = "there is a budget for this and this period already; change its limit";
        return Error::new(Kind::Conflict, "conflict", detail).into();
    }
    error.into()
}
