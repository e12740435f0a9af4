//! What goes into an export, in which order and under which names.

use acm2_domain::content_hash::ContentHash;
use acm2_domain::judged::Judging;
use acm2_domain::run::{DocumentSpec, Event, Run, Task};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::names::{answer_name, document_name};
use crate::tables::Table;
use crate::{Failed, Reported, page};

const README: &str = "What is in this archive\r\n\r\n\
    report.html          everything at a glance; open it in a browser\r\n\
    run.json             the run with every answer, as the API shows it\r\n\
    tasks.json           every call, those of judges too, with what came of it\r\n\
    judging.json         every figure about the answers and the judges, by document\r\n\
    events.json          the timeline\r\n\
    tables/*.csv         the same as tables, in UTF-8\r\n\
    answers/*.txt        the text of each answer; tables/tasks.csv says which is whose\r\n\
    documents/*.txt      the documents that the run is about\r\n\r\n\
    In the tables an apostrophe stands before a text that a spreadsheet would take for a formula.\r\n";

/// Everything of a run but the texts of its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The run, with results and what it ended without.
    pub run: Run,
    /// All its tasks.
    pub tasks: Vec<Task>,
    /// How each subject was judged, with every single judgement.
    pub judging: Vec<Judging>,
    /// Its timeline.
    pub events: Vec<Event>,
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
    /// What the archive holds.
    Readme,
    /// The page.
    Report,
    /// The run.
    Run,
    /// The tasks.
    Tasks,
    /// The judging.
    Judging,
    /// The events.
    Events,
    /// A table.
    Table(Table),
    /// The answer of the task at this place of the results.
    Answer(usize),
    /// The text with this hash, which only the store has.
    Document(ContentHash),
}

impl Export {
    /// Every file, in the order of the archive. `documents`: those of the run's specification.
    pub fn entries(&self, documents: &[DocumentSpec]) -> Vec<Entry> {
        let entry = |name: &str, content| Entry { name: name.to_owned(), content };
        let mut entries = vec![
            entry("README.txt", Content::Readme),
            entry("report.html", Content::Report),
            entry("run.json", Content::Run),
            entry("tasks.json", Content::Tasks),
            entry("judging.json", Content::Judging),
            entry("events.json", Content::Events),
        ];
        entries.extend(
            Table::ALL
                .map(|table| Entry { name: format!("tables/{}.csv", table.name()), content: Content::Table(table) }),
        );
        let tasks = self.run.results.iter().flatten().enumerate().filter(|(_, task)| task.text.is_some());
        entries.extend(tasks.map(|(at, task)| Entry { name: answer_name(at, task), content: Content::Answer(at) }));
        let documents = documents.iter().enumerate();
        entries.extend(documents.map(|(at, document)| Entry {
            name: document_name(at, &document.name),
            content: Content::Document(document.hash),
        }));
        entries
    }

    /// What is in a file; none for a document.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn bytes(&self, content: Content) -> Result<Option<Vec<u8>>, Failed> {
        let reported = self.reported();
        Ok(Some(match content {
            Content::Readme => README.as_bytes().to_vec(),
            Content::Report => page::render(reported)?.into_bytes(),
            Content::Run => serde_json::to_vec_pretty(&self.run)?,
            Content::Tasks => serde_json::to_vec_pretty(&json!({"items": self.tasks}))?,
            Content::Judging => serde_json::to_vec_pretty(&json!({"items": self.judging}))?,
            Content::Events => serde_json::to_vec_pretty(&json!({"items": self.events}))?,
            Content::Table(table) => table.write(reported)?,
            Content::Answer(at) => {
                let task = self.run.results.iter().flatten().nth(at);
                task.and_then(|task| task.text.clone()).unwrap_or_default().into_bytes()
            }
            Content::Document(_) => return Ok(None),
        }))
    }

    fn reported(&self) -> Reported<'_> {
        Reported {
            run: &self.run,
            tasks: &self.tasks,
            judging: &self.judging,
            events: &self.events,
            made_at: self.made_at,
        }
    }
}
