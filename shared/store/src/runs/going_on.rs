//! What becomes of the conversation that a run goes on: once the run has ended with an answer, the question and the answer are
//! added to it. Called in the transaction that ends the run.

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::RunId;
use acm2_domain::journal::TaskKey;
use acm2_domain::run::RunStatus;
use acm2_domain::stages::{self, Subject};
use chrono::{DateTime, Utc};

use super::tasks::TaskOutcome;
use super::{find, list_tasks};
use crate::conversations::messages;
use crate::{StoreError, TenantTx};

/// Adds them, where the run goes on a conversation and has an answer. Once: a run that was retried ends again.
pub async fn go_on(tx: &TenantTx, run: RunId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Some(row) = find(tx, run).await? else { return Ok(()) };
    let (Some(conversation), Some(question)) = (row.spec.conversation, row.spec.messages.last()) else { return Ok(()) };
    if !matches!(row.status, RunStatus::Completed | RunStatus::CompletedWithErrors) {
        return Ok(());
    }
    let Some(subject) = Subject::all(&row.spec).next() else { return Ok(()) };
    let tasks = list_tasks(tx, run).await?;
    let text_of = |key: &TaskKey, question: Option<ContentHash>| match &tasks.get(key.as_str())?.outcome {
        TaskOutcome::Answered(answer) if question.is_none() || answer.question == question => Some(answer.text.clone()),
        TaskOutcome::Answered(_) | TaskOutcome::Failed(_) => None,
    };
    let chosen = stages::chosen(&row.spec, subject, &text_of);
    // An empty turn is none, and providers refuse one.
    let answer = chosen.and_then(|draft| text_of(&draft.key, None)).filter(|answer| !answer.trim().is_empty());
    let Some(answer) = answer else { return Ok(()) };
    messages::append_exchange(tx, conversation, run, &question.content, &answer, now).await
}
