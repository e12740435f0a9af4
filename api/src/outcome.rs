//! What came of a run, put together when somebody looks: how its answers were judged, its report, its export. Whole runs are not
//! held in memory: rows without texts are, and the texts that are shown. Called by `routes::run_outcome`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::artifact::Artifact;
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::{RunId, TenantId};
use acm2_domain::judged::{Detail, Judging};
use acm2_domain::run::{DocumentSpec, Event, Run, Task};
use acm2_domain::stages::{self, CombineStrategy};
use acm2_report::Reported;
use acm2_report::archive::Export;
use acm2_report::images::{self, Images};
use acm2_report::page::{self, Texts};
use acm2_store::runs::{self, RunRow, TaskOutcome};
use acm2_store::{StoreError, Tenant, TenantTx};
use tokio::time::timeout;

use crate::auth::Caller;
use crate::hearing::{self, hear};
use crate::problem::Failure;
use crate::turns::{Turn, Turns};

/// Two at a time: each takes a processor, up to seconds for a large run, and memory. Few of one tenant have a turn or wait, so that
/// nobody's looks keep those of others waiting.
static TURNS: Turns = Turns::new(2, 4, 64);
/// How long one waits for a turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds after which one who got no turn may come again.
const RETRY_AFTER: u64 = 2;
/// How many events are read at once.
pub(crate) const EVENTS: u64 = 1_000;
/// As many times at most, for a page that lists few of them.
const MOST_READS_OF_EVENTS: usize = 50;

/// How many characters of a result are read where only its beginning counts.
const BEGINNING: i32 = 200;

/// What an export is made of as it goes.
pub(crate) struct ToExport {
    /// Everything but what is long.
    pub(crate) export: Export,
    /// The documents that belong to it.
    pub(crate) documents: Vec<DocumentSpec>,
    /// How long the texts of its tasks are.
    pub(crate) sizes: BTreeMap<String, u64>,
}

/// A run as a page shows it.
struct Seen {
    run: Run,
    tasks: Vec<Task>,
    events: Vec<Event>,
}

/// How the answers of a run were judged, by subject.
pub(crate) async fn judging(caller: &Caller, run: RunId) -> Result<Vec<Judging>, Failure> {
    let turn = turn(caller.tenant).await?;
    let row = find(caller, run).await?;
    hear(caller, &turn, &row, Detail::ANSWER).await
}

/// The report of a run.
pub(crate) async fn report(caller: &Caller, run: RunId) -> Result<String, Failure> {
    let turn = turn(caller.tenant).await?;
    let (row, made_at) = (find(caller, run).await?, caller.app.clock.now());
    let judging = hear(caller, &turn, &row, Detail::ANSWER).await?;
    let seen = see(caller, run, &judging).await?;
    let images = read_images(&caller.store(), &seen.tasks).await?;
    let combine = combine_of(&row);
    compute(&turn, move || {
        let Seen { run, tasks, events } = &seen;
        let reported = Reported { run, tasks, judging: &judging, combine, events, images: &images, made_at };
        page::render(reported).map_err(|error| defect(&error))
    })
    .await
}

/// The export of a run. One whose judges said too much goes without what is made of that.
pub(crate) async fn export(caller: &Caller, run: RunId) -> Result<ToExport, Failure> {
    let turn = turn(caller.tenant).await?;
    let (row, made_at) = (find(caller, run).await?, caller.app.clock.now());
    let judging = match hear(caller, &turn, &row, Detail::ALL).await {
        Ok(judging) => Some(judging),
        Err(Failure::Domain(error)) if error.code == hearing::TOO_LARGE => None,
        Err(failure) => return Err(failure),
    };
    let sizes = hearing::measure(caller, run, &stages::plan(&row.spec)).await?;
    let Seen { run, tasks, events } = see(caller, run, judging.as_deref().unwrap_or_default()).await?;
    let export = Export { run, tasks, judging, combine: combine_of(&row), shown_events: events, made_at };
    Ok(ToExport { export, documents: row.spec.documents.clone(), sizes })
}

async fn find(caller: &Caller, run: RunId) -> Result<Arc<RunRow>, Failure> {
    let tx = caller.store().begin().await?;
    let row = runs::find(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?;
    tx.commit().await?;
    Ok(Arc::new(row))
}

/// The images that the page of a run with these tasks holds.
pub(crate) async fn read_images(store: &Tenant, tasks: &[Task]) -> Result<Images, StoreError> {
    let held = images::to_hold(tasks);
    let mut images = Images::new();
    if held.is_empty() {
        return Ok(images);
    }
    let tx = store.begin().await?;
    for id in held {
        // What is none any more by its bytes is named, and not shown.
        if let Ok(image) = Artifact::new(runs::read_artifact(&tx, id).await?) {
            images.insert(id, image);
        }
    }
    tx.commit().await?;
    Ok(images)
}

/// The run with all its tasks, whose texts are left out but for those that the page shows and the beginnings of results.
async fn see(caller: &Caller, run: RunId, judging: &[Judging]) -> Result<Seen, Failure> {
    let tx = caller.store().look().await?;
    let row = runs::find(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?;
    let mut settled = runs::list_settled_without_texts(&tx, &row).await?;
    let plan = stages::plan(&row.spec);
    // The beginnings tell which answers are blank.
    let results = plan.iter().filter(|task| task.is_result).map(|task| task.key.as_str());
    for (key, text) in runs::list_beginnings(&tx, run, results, BEGINNING).await? {
        if let Some(TaskOutcome::Answered(answer)) = settled.tasks.get_mut(&key).map(|task| &mut task.outcome) {
            answer.text = text;
        }
    }
    let (run, mut tasks) = (runs::assemble(&row, Some(&settled)), runs::assemble_tasks(&row, &plan, &settled));
    let mut texts = list_shown_texts(&tx, &page::texts(&run, &tasks, judging), run.id).await?;
    for task in tasks.iter_mut().filter(|task| task.text.is_some()) {
        if let Some(text) = texts.remove(&task.key) {
            task.text = Some(text);
        }
    }
    let events = list_shown_events(&tx, &row).await?;
    tx.commit().await?;
    Ok(Seen { run, tasks, events })
}

/// The texts that the page shows, by the keys of their tasks, each with as much of it as is shown.
async fn list_shown_texts(tx: &TenantTx, shown: &Texts, run: RunId) -> Result<BTreeMap<String, String>, StoreError> {
    // One character more tells that a text was cut.
    let most = |characters: usize| i32::try_from(characters + 1).unwrap_or(i32::MAX);
    let (main, others) = (shown.main.iter().map(String::as_str), shown.others.iter().map(String::as_str));
    let mut texts = runs::list_texts(tx, run, main, most(page::LONGEST_TEXT)).await?;
    texts.extend(runs::list_texts(tx, run, others, most(page::LONGEST_OTHER_TEXT)).await?);
    Ok(texts)
}

/// How a run makes one text of several answers.
fn combine_of(row: &RunRow) -> Option<CombineStrategy> {
    row.spec.stages.combine.as_ref().map(|combine| combine.strategy)
}

/// The events that the page lists, and the last.
async fn list_shown_events(tx: &TenantTx, row: &RunRow) -> Result<Vec<Event>, StoreError> {
    let mut shown: Vec<Event> = Vec::new();
    let mut after = 0;
    for _ in 0..MOST_READS_OF_EVENTS {
        let events = runs::list_events(tx, row.id, after, EVENTS).await?;
        let Some(last) = events.last() else { break };
        after = last.number;
        shown.extend(events.into_iter().filter(page::lists));
        if shown.len() >= page::MOST_EVENTS {
            break;
        }
    }
    shown.truncate(page::MOST_EVENTS);
    if shown.last().is_none_or(|event| event.number < row.last_event) {
        shown.extend(runs::list_events(tx, row.id, row.last_event.saturating_sub(1), 1).await?);
    }
    Ok(shown)
}

/// Waits for the caller's turn. Before anything is read: what waits must not hold a run in memory.
pub(crate) async fn turn(tenant: TenantId) -> Result<Arc<Turn>, Error> {
    let turn = timeout(PATIENCE, TURNS.take(tenant)).await.ok().flatten();
    turn.map(Arc::new).ok_or_else(|| {
        let detail = "too many reports are being made at the moment; ask again";
        Error::new(Kind::Unavailable, "overloaded", detail).retry_after(RETRY_AFTER)
    })
}

/// Does it where it keeps no request waiting. The turn is held until it is done, also where the caller has gone: nobody ends it then.
pub(crate) async fn compute<T: Send + 'static>(
    turn: &Arc<Turn>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    let turn = Arc::clone(turn);
    let work = move || {
        let _turn = turn;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| defect(&error))?;
    Ok(done?)
}

/// What nobody outside can help.
pub(crate) fn defect(error: &dyn std::error::Error) -> Error {
    tracing::error!(error = %error, "what came of a run could not be put together");
    Error::new(Kind::Internal, "internal", "this could not be put together")
}
