//! Extracting the text of a file in a process of its own: this program again, with the command `extract`, without environment
//! and confined. Whatever a hostile file does to its parser, loop, eat memory, overflow its stack, ends that process alone.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use acm2_domain::error::{Error, Kind};
use acm2_extract::{FileType, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::reading::unreadable;

/// How long one file may take; the processor time of its process is bounded too.
const LONGEST: Duration = Duration::from_secs(20);
/// How long a file waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds after which an upload that found no turn may come again.
const RETRY_AFTER: u64 = 5;
/// Files that are read at a time: each takes a processor and much memory.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The text of a file, of at most `most` bytes.
pub(crate) async fn extract(file_type: FileType, bytes: Vec<u8>, most: usize) -> Result<String, Error> {
    let busy = || {
        let detail = "too many files are being read at the moment; upload it again";
        Error::new(Kind::Unavailable, "overloaded", detail).retry_after(RETRY_AFTER)
    };
    let turn = timeout(PATIENCE, TURNS.acquire()).await;
    let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    let mut child = start(file_type, most).map_err(|error| {
        tracing::error!(%error, "the process that reads files does not start");
        busy()
    })?;
    // A child that is dropped is killed, here and where the caller goes away.
    match timeout(LONGEST, converse(&mut child, bytes, most)).await {
        Ok(Ok((Some(0), text))) => String::from_utf8(text).map_err(|_| unreadable(&Refusal::Damaged.to_string())),
        Ok(Ok((code, _))) => {
            let refusal = code.and_then(Refusal::of_exit_code);
            Err(unreadable(&refusal.map_or_else(|| "reading it failed".to_owned(), |refusal| refusal.to_string())))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the process that reads a file went away");
            Err(unreadable("reading it failed"))
        }
        Err(_) => Err(unreadable("reading it takes too long")),
    }
}

fn start(file_type: FileType, most: usize) -> io::Result<Child> {
    let mut command = Command::new(own_program()?);
    command.args(["extract", file_type.as_str(), &most.to_string()]);
    // Not one secret of this process goes along.
    command.env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()
}

/// The program that this process runs, also where its file was replaced since by a newer one.
fn own_program() -> io::Result<std::path::PathBuf> {
    let running = std::path::Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// Hands the file over and takes the text: its exit code, none where a signal ended it, and what it wrote.
async fn converse(child: &mut Child, bytes: Vec<u8>, most: usize) -> io::Result<(Option<i32>, Vec<u8>)> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the process has no pipes"));
    };
    let write = async move {
        // A process that ends before it has read all says why by its exit code.
        let _ = input.write_all(&bytes).await;
        drop(input);
    };
    let mut text = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let mut output = output.take(most);
    let read = output.read_to_end(&mut text);
    let ((), read) = tokio::join!(write, read);
    read?;
    Ok((child.wait().await?.code(), text))
}
