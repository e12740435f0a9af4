//! `runs`: the tasks of one, in pages that are bounded in number and in bytes.

use std::collections::BTreeMap;

use acm2_domain::error::{Error, FieldError};
use acm2_domain::ids::RunId;
use acm2_domain::run::TaskList;
use acm2_domain::stages::{self, PlannedTask};
use acm2_store::runs;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::Tag;
use super::page::bad_parameters;
use crate::auth::{Allowed, Caller, RunsRead};
use crate::problem::Failure;
use crate::reply::Reply;

/// As many tasks as a page may have, and has where nothing is said.
const MOST: u32 = 1_000;
/// As many bytes as the texts of a page have, where it has more than one task.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Which page is asked for: the order of a run's tasks is known before it starts, so a place in it is a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TaskPage {
    /// The place of its first task.
    from: usize,
    /// How many tasks it may have.
    limit: usize,
}

impl TaskPage {
    fn new(cursor: Option<&str>, limit: Option<u32>) -> Result<Self, Failure> {
        let mut wrong = Vec::new();
        let from = cursor.map_or(Some(0), decode).unwrap_or_else(|| {
            wrong.push(FieldError::new("#query/cursor", "is not one that a page gave as next_cursor"));
            0
        });
        let limit = limit.unwrap_or(MOST);
        if !(1..=MOST).contains(&limit) {
            wrong.push(FieldError::new("#query/limit", format!("must be from 1 to {MOST}")));
        }
        if wrong.is_empty() {
            Ok(Self { from: from as usize, limit: limit as usize })
        } else {
            Err(bad_parameters(wrong))
        }
    }

    /// The tasks of the page at most.
    fn of<'a, 'b>(self, plan: &'a [PlannedTask<'b>]) -> &'a [PlannedTask<'b>] {
        let from = self.from.min(plan.len());
        &plan[from..from.saturating_add(self.limit).min(plan.len())]
    }
}

/// How many of the first of these tasks have texts that are not too long together; one at least.
fn count_within(tasks: &[PlannedTask<'_>], sizes: &BTreeMap<String, u64>, most: u64) -> usize {
    let mut bytes = 0_u64;
    let fits = |task: &&PlannedTask<'_>| {
        bytes = bytes.saturating_add(sizes.get(task.key.as_str()).copied().unwrap_or(0));
        bytes <= most
    };
    tasks.iter().take_while(fits).count().max(1).min(tasks.len())
}

fn encode(place: u32) -> String {
    URL_SAFE_NO_PAD.encode(place.to_be_bytes())
}

fn decode(cursor: &str) -> Option<u32> {
    Some(u32::from_be_bytes(URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?))
}

/// `runs`, the tasks of one.
pub(super) struct RunTasks;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunTasks {
    /// List the tasks of a run.
    ///
    /// Needs the scope `runs:read`. Every call that the run consists of, in its own order, which does not change while it is under
    /// way. A page ends early where the texts of its tasks come to more than 16 MiB.
    #[oai(path = "/runs/:run_id/tasks", method = "get", operation_id = "runs.tasks")]
    async fn tasks(
        &self,
        caller: Allowed<RunsRead>,
        run_id: Path<RunId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many tasks a page has, 1 to 1000; 1000 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<TaskList>, Failure> {
        let page = TaskPage::new(cursor.0.as_deref(), limit.0)?;
        Ok(Reply::new(list(&caller, run_id.0, page).await?))
    }
}

async fn list(caller: &Caller, run: RunId, page: TaskPage) -> Result<TaskList, Failure> {
    let tx = caller.store().look().await?;
    let row = runs::find(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?;
    let plan = stages::plan(&row.spec);
    let asked = page.of(&plan);
    let sizes = runs::measure_texts(&tx, run, asked.iter().map(|task| task.key.as_str())).await?;
    let shown = &asked[..count_within(asked, &sizes, MOST_BYTES)];
    let settled = runs::list_settled_of(&tx, run, shown.iter().map(|task| task.key.as_str())).await?;
    tx.commit().await?;
    let next = page.from.saturating_add(shown.len());
    let next_cursor = (next < plan.len()).then(|| encode(u32::try_from(next).unwrap_or(u32::MAX)));
    Ok(TaskList { items: runs::assemble_tasks(&row, shown, &settled), next_cursor })
}

#[cfg(test)]
mod tests {
    use acm2_domain::prices::Prices;
    use acm2_domain::run::NewRun;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_ends_where_its_texts_become_long() {
        let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 5});
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap();
        let plan = stages::plan(&spec);
        let sizes = |sizes: [u64; 5]| {
            plan.iter().map(|task| task.key.to_string()).zip(sizes).collect::<BTreeMap<String, u64>>()
        };
        assert_eq!(count_within(&plan, &sizes([4, 4, 4, 4, 4]), 12), 3);
        assert_eq!(count_within(&plan, &sizes([13, 1, 1, 1, 1]), 12), 1, "one that is longer comes alone");
        assert_eq!(count_within(&plan, &BTreeMap::new(), 12), 5);
        assert_eq!(count_within(&[], &BTreeMap::new(), 12), 0);
    }

    #[test]
    fn a_page_begins_where_the_one_before_ended() {
        let page = TaskPage::new(Some(&encode(7)), Some(3)).unwrap();
        assert_eq!(page, TaskPage { from: 7, limit: 3 });
        assert_eq!(TaskPage::new(None, None).unwrap(), TaskPage { from: 0, limit: 1_000 });
        assert!(page.of(&[]).is_empty());
        let Err(Failure::Domain(error)) = TaskPage::new(Some("canary!"), Some(1_001)) else { panic!("accepted") };
        assert_eq!(error.fields.len(), 2);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
