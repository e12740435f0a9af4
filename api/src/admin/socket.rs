//! The Unix socket by which the CLI reaches the process that serves from the data folder: one command per connection, JSON
//! lines, readable and writable by the owner only.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::command::{Command, Progress, Reply, execute};
use crate::app::App;

const FILE: &str = "admin.sock";

/// One line from the process to the CLI.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress(Progress),
    Reply(Reply),
}

/// The listening end; the file goes when it is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Listens in the data folder. Whoever holds the folder's lock may replace a socket that a killed process left.
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made under a name that nobody knows, so that it is never open to others under its own.
        let draft = data_dir.join(format!(".{FILE}.{}", std::process::id()));
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft)?;
        fs::set_permissions(&draft, Permissions::from_mode(0o600))?;
        fs::rename(&draft, &path)?;
        Ok(Self { listener, path })
    }

    /// Does what is sent, until the process ends.
    pub async fn serve(self, app: App) {
        let ending = app.shutdown.soft();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = ending.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(answer(app.clone(), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin socket failed to accept");
                    tokio::time::sleep(app.timing.store_retry).await;
                }
            }
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn answer(app: App, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut text = String::new();
    if BufReader::new(read).read_line(&mut text).await.is_err() {
        return;
    }
    let Ok(command) = serde_json::from_str::<Command>(&text) else {
        let text = "the command is not one of this version's; use the same acm2 as the process that serves".to_owned();
        let _ = write_line(&mut write, &Line::Reply(Reply::Refused { text })).await;
        return;
    };
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut told = move |progress| {
        // A CLI that went away does not stop the command.
        let _ = sender.send(progress);
    };
    let done = async move { execute(&app, command, &mut told).await };
    tokio::pin!(done);
    let reply = loop {
        tokio::select! {
            reply = &mut done => break reply,
            Some(progress) = receiver.recv() => {
                let _ = write_line(&mut write, &Line::Progress(progress)).await;
            }
        }
    };
    let _ = write_line(&mut write, &Line::Reply(reply)).await;
}

async fn write_line(write: &mut tokio::net::unix::OwnedWriteHalf, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await
}

/// Sends a command to the process that serves from the folder, and waits for what comes of it.
pub async fn send(
    data_dir: &Path,
    command: &Command,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> io::Result<Reply> {
    let (read, mut write) = UnixStream::connect(data_dir.join(FILE)).await?.into_split();
    let mut text = serde_json::to_string(command).map_err(io::Error::other)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line).map_err(io::Error::other)? {
            Line::Progress(told) => progress(told),
            Line::Reply(reply) => return Ok(reply),
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the serving process went away"))
}
