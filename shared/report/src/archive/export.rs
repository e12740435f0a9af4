//! What goes into an export, in which order and under which names. The texts of answers and documents, and the events, are much: they
//! are handed in where their turn comes.

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::ArtifactId;
use acm2_domain::judged::Judging;
use acm2_domain::run::{DocumentSpec, Event, Run, Task};
use acm2_domain::stages::CombineStrategy;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::list::{around, item};
use super::names::{ImageFile, answer_name, document_name, images};
use crate::images::Images;
use crate::tables::{Table, timeline_head, timeline_lines};
use crate::{Failed, Reported, page};

const README: &str = "What is in this archive\r\n\r\n\
    report.html          everything at a glance; open it in a browser\r\n\
    run.json             the run with every answer, as the API shows it\r\n\
    tasks.json           every call, those of judges too, with what came of it\r\n\
    judging.json         every figure about the answers and the judges, by document, and the final answers\r\n\
    events.json          the timeline\r\n\
    tables/*.csv         the same as tables, in UTF-8\r\n\
    answers/*.txt        the text of each answer; tables/tasks.csv says which is whose\r\n\
    images/*             the images; images.json says which is whose\r\n\
    images.json          the images, with the task and the model of each\r\n\
    documents/*.txt      the documents that the run is about\r\n\r\n\
    In the tables an apostrophe stands before a text that a spreadsheet would take for a formula.\r\n";

/// What is said besides where there is no judging.
const UNJUDGED: &str = "\r\nWhat the judges of this run said is too long to be put together: report.html, judging.json and the tables \
    of\r\nscores, votes, rankings and places are left out. Every answer of theirs is in tasks.json.\r\n";

/// Everything of a run but what is long and the bytes of its images.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The run, with results and what it ended without. An answer that is there has a text, which may be empty.
    pub run: Run,
    /// All its tasks, in the same way; of some the text that the page shows.
    pub tasks: Vec<Task>,
    /// How each subject was judged, with every single judgement; `None` where that is too long.
    pub judging: Option<Vec<Judging>>,
    /// How texts are made of several answers; none where none is.
    pub combine: Option<CombineStrategy>,
    /// The events that the page shows.
    pub shown_events: Vec<Event>,
    /// When the export is made.
    pub made_at: DateTime<Utc>,
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What the export holds: [`Export::whole`].
    Whole(Whole),
    /// Tasks with their texts: [`Export::around`] one [`Export::task`] after the other.
    Tasks(TaskFile),
    /// All events: [`Export::around`] one [`Export::events`] after the other.
    Events(EventFile),
    /// The text of the task at this place of the results.
    Answer(usize),
    /// The image with this id, which only the store has.
    Image(ArtifactId),
    /// The text with this hash, which only the store has.
    Document(ContentHash),
}

/// A file that the export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// What the archive holds.
    Readme,
    /// The page.
    Report,
    /// The judging.
    Judging,
    /// A table.
    Table(Table),
    /// The list of images.
    Images,
}

/// A file with tasks and their texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFile {
    /// The run with its results.
    Run,
    /// All tasks.
    Tasks,
}

/// A file with all events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFile {
    /// As JSON.
    Json,
    /// As a table.
    Table,
}

impl Export {
    /// Leaves what the judges said, once the files are written that the export holds.
    pub fn forget_judging(&mut self) {
        self.judging = None;
        self.shown_events = Vec::new();
    }

    /// Every file, in the order of the archive: first those that it holds. `documents`: those of the run's specification.
    pub fn entries(&self, documents: &[DocumentSpec]) -> Vec<Entry> {
        let entry = |name: &str, content| Entry { name: name.to_owned(), content };
        let table = |table: Table| Entry {
            name: format!("tables/{}.csv", table.name()),
            content: match table {
                Table::Timeline => Content::Events(EventFile::Table),
                _ => Content::Whole(Whole::Table(table)),
            },
        };
        let mut entries = vec![
            entry("README.txt", Content::Whole(Whole::Readme)),
            entry("report.html", Content::Whole(Whole::Report)),
            entry("judging.json", Content::Whole(Whole::Judging)),
            entry("images.json", Content::Whole(Whole::Images)),
        ];
        entries.extend(Table::ALL.map(table));
        entries.extend([
            entry("run.json", Content::Tasks(TaskFile::Run)),
            entry("tasks.json", Content::Tasks(TaskFile::Tasks)),
            entry("events.json", Content::Events(EventFile::Json)),
        ]);
        entries.retain(|entry| self.judging.is_some() || !is_of_judges(entry.content));
        let tasks = self.list(TaskFile::Run).iter().enumerate();
        let named = tasks.filter_map(|(at, task)| Some((at, answer_name(at, task)?)));
        entries.extend(named.map(|(at, name)| Entry { name, content: Content::Answer(at) }));
        let image =
            |ImageFile { name, artifact, .. }: ImageFile<'_>| Entry { name, content: Content::Image(artifact.id) };
        entries.extend(images(&self.run).map(image));
        let documents = documents.iter().enumerate();
        entries.extend(documents.map(|(at, document)| Entry {
            name: document_name(at, &document.name),
            content: Content::Document(document.hash),
        }));
        entries
    }

    /// Every image: its file, who made it and what it is.
    fn image_list(&self) -> Vec<Value> {
        let listed = |ImageFile { name, task, artifact }: ImageFile<'_>| {
            json!({"file": name, "task_key": task.key, "document": task.document, "model": task.model,
                "iteration": task.iteration, "artifact": artifact})
        };
        images(&self.run).map(listed).collect()
    }

    /// The tasks of a file.
    pub fn list(&self, file: TaskFile) -> &[Task] {
        match file {
            TaskFile::Run => self.run.results.as_deref().unwrap_or_default(),
            TaskFile::Tasks => &self.tasks,
        }
    }

    /// A file that the export holds. `held`: the images that the page holds.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn whole(&self, file: Whole, held: &Images) -> Result<Vec<u8>, Failed> {
        let reported = Reported {
            run: &self.run,
            tasks: &self.tasks,
            judging: self.judging.as_deref().unwrap_or_default(),
            combine: self.combine,
            events: &self.shown_events,
            images: held,
            made_at: self.made_at,
        };
        Ok(match file {
            Whole::Readme => {
                let more = if self.judging.is_some() { "" } else { UNJUDGED };
                format!("{README}{more}").into_bytes()
            }
            Whole::Report => page::render(reported)?.into_bytes(),
            Whole::Images => serde_json::to_vec_pretty(&json!({"items": self.image_list()}))?,
            Whole::Judging => serde_json::to_vec_pretty(&json!({"items": self.judging}))?,
            Whole::Table(table) => table.write(reported)?,
        })
    }

    /// What stands before the items of a file and behind them; nothing about other files.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn around(&self, content: Content) -> Result<(Vec<u8>, Vec<u8>), Failed> {
        match content {
            Content::Tasks(TaskFile::Run) => {
                let run = Run { results: Some(Vec::new()), ..self.run.clone() };
                around(&serde_json::to_string_pretty(&run)?, "results", self.list(TaskFile::Run).is_empty())
            }
            Content::Tasks(TaskFile::Tasks) => around_items(self.tasks.is_empty()),
            // A run begins with an event.
            Content::Events(EventFile::Json) => around_items(false),
            Content::Events(EventFile::Table) => Ok((timeline_head()?, Vec::new())),
            Content::Whole(_) | Content::Answer(_) | Content::Image(_) | Content::Document(_) => {
                Ok((Vec::new(), Vec::new()))
            }
        }
    }

    /// The task at this place of a file, with its text; nothing where there is none.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn task(&self, file: TaskFile, at: usize, text: Option<String>) -> Result<Vec<u8>, Failed> {
        let Some(task) = self.list(file).get(at) else { return Ok(Vec::new()) };
        item(&Task { text, ..task.clone() }, at == 0)
    }

    /// These events of a file.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn events(&self, file: EventFile, events: &[Event]) -> Result<Vec<u8>, Failed> {
        match file {
            // Their numbers begin with 1.
            EventFile::Json => {
                let items = events.iter().map(|event| item(event, event.number == 1));
                Ok(items.collect::<Result<Vec<_>, _>>()?.concat())
            }
            EventFile::Table => timeline_lines(events),
        }
    }
}

fn around_items(is_empty: bool) -> Result<(Vec<u8>, Vec<u8>), Failed> {
    around(&serde_json::to_string_pretty(&json!({"items": []}))?, "items", is_empty)
}

/// Whether a file is made of what judges said.
const fn is_of_judges(content: Content) -> bool {
    match content {
        Content::Whole(Whole::Report | Whole::Judging) => true,
        Content::Whole(Whole::Table(table)) => !matches!(table, Table::Tasks | Table::Timeline),
        _ => false,
    }
}
