//! Extracting the text of a file in a process of its own: this program again, with the command `extract`, without environment
//! and confined. Whatever a hostile file does to its parser, loop, eat memory, overflow its stack, ends that process alone.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::TenantId;
use acm2_extract::{FileType, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::reading::unreadable;
use crate::turns::Turns;

/// How long one file may take; the processor time of its process is bounded too.
const LONGEST: Duration = Duration::from_secs(20);
/// How long a file waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds after which an upload that found no turn may come again.
const RETRY_AFTER: u64 = 5;
/// Files that this process has read: four at a time, each of which takes a processor and much memory. Of one tenant four are read or
/// wait; more are refused at once, since each lies in memory meanwhile. Of all, uploads and calls are bounded elsewhere.
static FILES: Turns = Turns::new(4, 4, usize::MAX);
/// Pages of the web that are read: two of the four, so that files that are uploaded find a turn beside them. How many wait is bounded by
/// the calls that a worker makes.
#[cfg(feature = "worker")]
static PAGES: Turns = Turns::new(2, usize::MAX, usize::MAX);

/// Why there is no text.
#[derive(Debug)]
pub(crate) enum Unread {
    /// No turn came.
    Busy,
    /// The file has none that can be found, for this reason.
    Unreadable(String),
}

impl From<Unread> for Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Busy => {
                let detail = "too many files are being read at the moment; upload it again";
                Self::new(Kind::Unavailable, "overloaded", detail).retry_after(RETRY_AFTER)
            }
            Unread::Unreadable(why) => unreadable(&why),
        }
    }
}

/// The text of a tenant's file, of at most `most` bytes.
pub(crate) async fn extract(
    tenant: TenantId,
    file_type: FileType,
    bytes: Vec<u8>,
    most: usize,
) -> Result<String, Unread> {
    let _turn = timeout(PATIENCE, FILES.take(tenant)).await.ok().flatten().ok_or(Unread::Busy)?;
    read(file_type, bytes, most).await
}

/// The same of a page that a tenant's research reads. A tenant's pages wait for each other, and not for the files that it uploads.
#[cfg(feature = "worker")]
pub(crate) async fn extract_page(
    tenant: TenantId,
    file_type: FileType,
    bytes: Vec<u8>,
    most: usize,
) -> Result<String, Unread> {
    let _turn = PAGES.take(tenant).await.ok_or(Unread::Busy)?;
    let _of_all = timeout(PATIENCE, FILES.take_beside_the_line()).await.ok().flatten().ok_or(Unread::Busy)?;
    read(file_type, bytes, most).await
}

async fn read(file_type: FileType, bytes: Vec<u8>, most: usize) -> Result<String, Unread> {
    let unreadable = |why: &str| Unread::Unreadable(why.to_owned());
    let mut child = start(file_type, most).map_err(|error| {
        tracing::error!(%error, "the process that reads files does not start");
        Unread::Busy
    })?;
    // A child that is dropped is killed, here and where the caller goes away.
    match timeout(LONGEST, converse(&mut child, bytes, most)).await {
        Ok(Ok((Some(0), text))) => String::from_utf8(text).map_err(|_| unreadable(&Refusal::Damaged.to_string())),
        Ok(Ok((code, _))) => {
            let refusal = code.and_then(Refusal::of_exit_code);
            Err(Unread::Unreadable(
                refusal.map_or_else(|| "reading it failed".to_owned(), |refusal| refusal.to_string()),
            ))
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
