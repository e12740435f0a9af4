//! What came of a run, put together when somebody looks: how its answers were judged, its report, its export. Called by
//! `routes::run_outcome`.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use acm2_domain::artifact::Artifact;
use acm2_domain::content_hash::ContentHash;
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::journal::TaskKey;
use acm2_domain::judged::{Detail, Judgements, Judging};
use acm2_domain::ranking::Invalid;
use acm2_domain::run::{DocumentSpec, Event, Task};
use acm2_domain::stages::{self, Subject};
use acm2_report::archive::Export;
use acm2_report::images::{self, Images};
use acm2_report::{Failed, Reported, page};
use acm2_store::runs::{self, RunRow, TaskOutcome, TaskRow};
use acm2_store::{StoreError, Tenant, TenantTx};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::auth::Caller;
use crate::problem::Failure;
use crate::waiters::{Place, Waiters};

/// Computations at a time: each takes a processor, up to seconds for a large run.
static TURNS: Semaphore = Semaphore::const_new(2);
/// Those who compute or wait for their turn; few of one tenant, so that nobody's looks keep those of others waiting.
static LINE: LazyLock<Waiters> = LazyLock::new(|| Waiters::with_share(64, 4));
/// How long one waits for a turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds after which one who got no turn may come again.
const RETRY_AFTER: u64 = 2;
/// How many events are read at once.
const PAGE: u64 = 1_000;

/// A run as it is stored.
struct Stored {
    row: RunRow,
    tasks: BTreeMap<String, TaskRow>,
    events: Vec<Event>,
}

/// How the answers of a run were judged, by subject.
pub(crate) async fn judging(caller: &Caller, run: RunId) -> Result<Vec<Judging>, Failure> {
    let held = turn(caller).await?;
    let stored = read(caller, run, false).await?;
    compute(held, move || judged(&stored, Detail::ANSWER)).await
}

/// The report of a run.
pub(crate) async fn report(caller: &Caller, run: RunId) -> Result<String, Failure> {
    let held = turn(caller).await?;
    let (stored, made_at) = (read(caller, run, true).await?, caller.app.clock.now());
    let images = if stored.row.spec.image.is_some() {
        read_images(&caller.store(), &runs::assemble_tasks(&stored.row, &stored.tasks)).await?
    } else {
        Images::new()
    };
    compute(held, move || {
        let judging = judged(&stored, Detail::ANSWER)?;
        let run = runs::assemble(&stored.row, Some(&stored.tasks));
        let tasks = runs::assemble_tasks(&stored.row, &stored.tasks);
        let (images, events) = (&images, &*stored.events);
        let reported = Reported { run: &run, tasks: &tasks, judging: &judging, events, images, made_at };
        page::render(reported).map_err(|error| defect(&error))
    })
    .await
}

/// The export of a run, and the documents that belong to it.
pub(crate) async fn export(caller: &Caller, run: RunId) -> Result<(Export, Vec<DocumentSpec>), Failure> {
    let held = turn(caller).await?;
    let (stored, made_at) = (read(caller, run, true).await?, caller.app.clock.now());
    compute(held, move || {
        let judging = judged(&stored, Detail::ALL)?;
        let run = runs::assemble(&stored.row, Some(&stored.tasks));
        let tasks = runs::assemble_tasks(&stored.row, &stored.tasks);
        Ok((Export { run, tasks, judging, events: stored.events, made_at }, stored.row.spec.documents))
    })
    .await
}

async fn read(caller: &Caller, run: RunId, with_events: bool) -> Result<Stored, Failure> {
    let tx = caller.store().begin().await?;
    let row = runs::find(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?;
    let mut tasks = runs::list_tasks(&tx, run).await?;
    runs::add_unusable(&tx, run, &mut tasks).await?;
    let events = if with_events { list_events(&tx, run).await? } else { Vec::new() };
    tx.commit().await?;
    Ok(Stored { row, tasks, events })
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

/// All of them.
async fn list_events(tx: &TenantTx, run: RunId) -> Result<Vec<Event>, StoreError> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.number);
        let page = runs::list_events(tx, run, after, PAGE).await?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

fn judged(stored: &Stored, detail: Detail) -> Result<Vec<Judging>, Error> {
    let find = |key: &TaskKey, question: Option<ContentHash>| match &stored.tasks.get(key.as_str())?.outcome {
        TaskOutcome::Answered(answer) if question.is_some() && answer.question != question => None,
        TaskOutcome::Answered(answer) => Some(answer.text.clone()),
        TaskOutcome::Failed(_) => None,
    };
    let spec = &stored.row.spec;
    let view = |(judgements, subject): (Judgements, Subject)| {
        let final_answer = runs::final_answer(&stored.row, subject, &stored.tasks);
        Ok(Judging { final_answer, ..Judging::of(&judgements, detail)? })
    };
    let views = stages::judgements(spec, &find).into_iter().zip(Subject::all(spec)).map(view);
    views.collect::<Result<_, Invalid>>().map_err(|error| defect(&error))
}

/// Waits for the caller's turn. Before anything is read: what waits must not hold a run in memory.
async fn turn(caller: &Caller) -> Result<Held, Failure> {
    let place = LINE.enter(caller.tenant).ok_or_else(busy)?;
    let turn = timeout(PATIENCE, TURNS.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())?;
    Ok(Held { _turn: turn, _place: place })
}

/// A turn and a place in the line.
struct Held {
    _turn: SemaphorePermit<'static>,
    _place: Place,
}

/// Does it where it keeps no request waiting. The turn is held until it is done, also where the caller has gone: nobody ends it then.
async fn compute<T: Send + 'static>(
    held: Held,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    let work = move || {
        let _held = held;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| defect(&error))?;
    Ok(done?)
}

fn busy() -> Error {
    let detail = "too many reports are being made at the moment; ask again";
    Error::new(Kind::Unavailable, "overloaded", detail).retry_after(RETRY_AFTER)
}

/// What nobody outside can help.
fn defect(error: &dyn std::error::Error) -> Error {
    tracing::error!(error = %error, "what came of a run could not be put together");
    Error::new(Kind::Internal, "internal", "this could not be put together")
}

/// The same for a file of an export.
pub(crate) fn broken(error: &Failed) -> std::io::Error {
    tracing::error!(error = %error, "a file of an export could not be written");
    std::io::Error::other("a file of the export could not be written")
}
