//! Writes an export piece by piece, each when the one before has been fetched: whoever reads slowly holds one piece, and no thread.
//! Texts and events are read from the store a few at a time. Called by `export_stream`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{ArtifactId, TenantId};
use acm2_domain::run::Task;
use acm2_report::Failed;
use acm2_report::archive::{Content, EventFile, Export, TaskFile, Whole, ZipStream};
use acm2_report::images::Images;
use acm2_store::library::texts;
use acm2_store::{StoreError, Tenant, runs};
use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use crate::auth::Caller;
use crate::middleware::{SLOWEST, STALLED};
use crate::outcome::{EVENTS, ToExport, compute, defect, read_images, turn};
use crate::turns::Turn;
use crate::waiters::Place;

/// As many bytes of texts are read at once, where there is more than one text.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Of as many tasks at most.
const MOST_TASKS: usize = 256;
/// So many bytes of a file are packed at once.
const PACKED_AT_ONCE: usize = 1024 * 1024;
/// So many are sent at once: whoever fetches one of them is not gone.
const SENT_AT_ONCE: usize = 64 * 1024;
/// How often it asks for its tenant's turn, where too many stand in line for it, and how long it waits in between.
const MOST_TRIES: u32 = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// A piece of the archive, or why there is no more.
pub(crate) type Piece = io::Result<Bytes>;

/// Why it ends early.
enum Cut {
    /// Nobody fetches it any more.
    Gone,
    /// Something went wrong, which is in the log.
    Broken(&'static str),
}

impl From<Failed> for Cut {
    fn from(error: Failed) -> Self {
        tracing::error!(error = %error, "a file of an export could not be written");
        Self::Broken("a file of the export could not be written")
    }
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = %error, "a part of an export could not be read");
        Self::Broken("a part of the export could not be read")
    }
}

/// An export under way.
pub(crate) struct Writer {
    tenant: TenantId,
    store: Tenant,
    export: Arc<Export>,
    sizes: BTreeMap<String, u64>,
    pieces: Sender<Piece>,
    sent: u64,
    /// How long it stood still until they were fetched.
    waited: Duration,
    zip: Option<ZipStream>,
    /// Answers that were read and have no file yet, by place.
    ahead: VecDeque<(usize, Option<String>)>,
    /// Held by whatever is under way, too: nobody ends that where the caller goes.
    place: Arc<Place>,
}

impl Writer {
    /// Writes all of it, and says then that it is `whole`.
    pub(crate) async fn write(
        caller: Caller,
        export: ToExport,
        pieces: Sender<Piece>,
        place: Place,
        whole: Arc<AtomicBool>,
    ) {
        let ToExport { export, documents, sizes } = export;
        let zip = Some(ZipStream::new(export.made_at));
        let failed = pieces.clone();
        let mut writer = Self {
            tenant: caller.tenant,
            store: caller.store(),
            export: Arc::new(export),
            sizes,
            pieces,
            sent: 0,
            waited: Duration::ZERO,
            zip,
            ahead: VecDeque::new(),
            place: Arc::new(place),
        };
        drop(caller);
        let entries = writer.export.entries(&documents);
        let last_whole = entries.iter().rposition(|entry| matches!(entry.content, Content::Whole(_)));
        let written = async {
            for (at, entry) in entries.into_iter().enumerate() {
                writer.file(entry.name, entry.content).await?;
                if Some(at) == last_whole
                    && let Some(export) = Arc::get_mut(&mut writer.export)
                {
                    export.forget_judging();
                }
            }
            let zip = writer.zip.take().ok_or(Cut::Gone)?;
            writer.send(zip.finish()?).await?;
            whole.store(true, Ordering::Release);
            Ok(())
        };
        if let Err(Cut::Broken(why)) = written.await {
            // Who is gone has no need to know.
            let _ = failed.send(Err(io::Error::other(why))).await;
        }
    }

    async fn file(&mut self, name: String, content: Content) -> Result<(), Cut> {
        self.pack(move |zip, export| {
            zip.begin(&name)?;
            Ok(export.around(content)?.0)
        })
        .await?;
        match content {
            Content::Whole(file) => {
                let held = match file {
                    Whole::Report => read_images(&self.store, &self.export.tasks).await?,
                    _ => Images::new(),
                };
                self.whole(file, held).await?;
            }
            Content::Tasks(file) => self.tasks(file).await?,
            Content::Events(file) => self.events(file).await?,
            Content::Answer(at) => {
                let text = self.answer(at).await?;
                self.pack(move |_, _| Ok(text.into_bytes())).await?;
            }
            Content::Image(id) => {
                let image = self.image(id).await?;
                self.pack(move |_, _| Ok(image)).await?;
            }
            Content::Document(hash) => {
                let text = self.document(hash).await?;
                self.pack(move |_, _| Ok(text.into_bytes())).await?;
            }
        }
        self.pack(move |_, export| Ok(export.around(content)?.1)).await
    }

    /// A file that is made in one go: in the tenant's turn, for it takes as much as what is made for a page.
    async fn whole(&mut self, file: Whole, held: Images) -> Result<(), Cut> {
        let turn = self.turn().await?;
        let export = Arc::clone(&self.export);
        let made = compute(&turn, move || export.whole(file, &held).map_err(|error| defect(&error))).await;
        // Whoever fetches it slowly keeps nobody waiting.
        drop(turn);
        // Why not is in the log.
        let mut rest = Bytes::from(made.map_err(|_| Cut::Broken("a file of the export could not be written"))?);
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PACKED_AT_ONCE));
            self.pack(move |_, _| Ok(piece)).await?;
        }
        Ok(())
    }

    /// An export that has begun does not end for a crowd of its tenant's looks.
    async fn turn(&self) -> Result<Arc<Turn>, Cut> {
        for _ in 0..MOST_TRIES {
            let waited = async {
                let turn = turn(self.tenant).await;
                if turn.is_err() {
                    sleep(BETWEEN_TRIES).await;
                }
                turn
            };
            tokio::select! {
                () = self.pieces.closed() => return Err(Cut::Gone),
                turn = waited => if let Ok(turn) = turn { return Ok(turn) },
            }
        }
        Err(Cut::Broken("too many reports were being made"))
    }

    /// Packs what is made, and sends what is packed.
    async fn pack<B: AsRef<[u8]>>(
        &mut self,
        make: impl FnOnce(&mut ZipStream, &Export) -> Result<B, Failed> + Send + 'static,
    ) -> Result<(), Cut> {
        let mut zip = self.zip.take().ok_or(Cut::Gone)?;
        let (export, place) = (Arc::clone(&self.export), Arc::clone(&self.place));
        let work = move || {
            let _place = place;
            let bytes = make(&mut zip, &export)?;
            let piece = zip.write(bytes.as_ref())?;
            Ok::<_, Failed>((zip, piece))
        };
        // The process ends, or there was a panic, which is in the log.
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| Cut::Broken("the export was given up"))?;
        let (zip, piece) = done?;
        self.zip = Some(zip);
        self.send(piece).await
    }

    async fn send(&mut self, piece: Vec<u8>) -> Result<(), Cut> {
        if piece.is_empty() {
            return Ok(());
        }
        let mut rest = Bytes::from(piece);
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(SENT_AT_ONCE));
            self.sent += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            let begun = Instant::now();
            // Who fetches nothing for so long, or less than the slowest take, holds no more of it.
            match timeout(STALLED, self.pieces.send(Ok(piece))).await {
                Ok(Ok(())) => self.waited += begun.elapsed(),
                Ok(Err(_)) | Err(_) => return Err(Cut::Gone),
            }
            if self.waited > STALLED + Duration::from_secs(self.sent / SLOWEST) {
                return Err(Cut::Gone);
            }
        }
        Ok(())
    }

    async fn tasks(&mut self, file: TaskFile) -> Result<(), Cut> {
        let mut from = 0;
        loop {
            let export = Arc::clone(&self.export);
            let next = next_of(export.list(file), from, &self.sizes);
            if next.is_empty() {
                return Ok(());
            }
            from = next.end;
            let texts = self.texts(file, next.clone()).await?;
            let make = move |_: &mut ZipStream, export: &Export| {
                let tasks = next.zip(texts).map(|(at, text)| export.task(file, at, text));
                Ok(tasks.collect::<Result<Vec<_>, _>>()?.concat())
            };
            self.pack(make).await?;
        }
    }

    /// The text of the result at this place. They are asked for in their order.
    async fn answer(&mut self, at: usize) -> Result<String, Cut> {
        self.ahead.retain(|(place, _)| *place >= at);
        if self.ahead.is_empty() {
            let export = Arc::clone(&self.export);
            let next = next_of(export.list(TaskFile::Run), at, &self.sizes);
            self.ahead = next.clone().zip(self.texts(TaskFile::Run, next).await?).collect();
        }
        Ok(self.ahead.pop_front().and_then(|(_, text)| text).unwrap_or_default())
    }

    /// The texts of these tasks of a file, of those that have one.
    async fn texts(&self, file: TaskFile, of: Range<usize>) -> Result<Vec<Option<String>>, Cut> {
        let tasks = self.export.list(file).get(of).unwrap_or_default();
        let keys = tasks.iter().filter(|task| task.text.is_some()).map(|task| &*task.key);
        let tx = self.store.begin().await?;
        let mut texts = runs::list_texts(&tx, self.export.run.id, keys, i32::MAX).await?;
        tx.commit().await?;
        let mut text_of = |task: &Task| match (&task.text, texts.remove(&task.key)) {
            (None, _) => Ok(None),
            (Some(_), Some(text)) => Ok(Some(text)),
            // The run was deleted meanwhile, or a retry has taken the answer away.
            (Some(_), None) => Err(Cut::Broken("the run has changed while it was exported")),
        };
        tasks.iter().map(&mut text_of).collect()
    }

    async fn events(&mut self, file: EventFile) -> Result<(), Cut> {
        // Those that come meanwhile are not part of it.
        let (run, last) = (self.export.run.id, self.export.run.last_event);
        let mut after = 0;
        while after < last {
            let tx = self.store.begin().await?;
            let mut events = runs::list_events(&tx, run, after, EVENTS).await?;
            tx.commit().await?;
            events.retain(|event| event.number <= last);
            let Some(end) = events.last() else { return Err(Cut::Broken("the run has changed while it was exported")) };
            after = end.number;
            self.pack(move |_, export| export.events(file, &events)).await?;
        }
        Ok(())
    }

    /// The bytes of an image.
    async fn image(&self, id: ArtifactId) -> Result<Vec<u8>, Cut> {
        let tx = self.store.begin().await?;
        let image = runs::read_artifact(&tx, id).await?;
        tx.commit().await?;
        Ok(image)
    }

    /// The text of a document. It is gone where the run was deleted meanwhile.
    async fn document(&self, hash: ContentHash) -> Result<String, Cut> {
        let tx = self.store.begin().await?;
        let text = texts::get(&tx, hash).await?;
        tx.commit().await?;
        Ok(text)
    }
}

/// Those tasks from this place on whose texts are read at once.
fn next_of(tasks: &[Task], from: usize, sizes: &BTreeMap<String, u64>) -> Range<usize> {
    let mut bytes = 0_u64;
    let rest = tasks.get(from..).unwrap_or_default();
    let fitting = rest.iter().take(MOST_TASKS).take_while(|task| {
        bytes = bytes.saturating_add(sizes.get(&task.key).copied().unwrap_or(0));
        bytes <= MOST_BYTES
    });
    from..from + fitting.count().max(1).min(rest.len())
}
