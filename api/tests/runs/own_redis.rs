//! A Redis that one test may take away and give back, and what a Redis holds.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A `redis-server` of this test alone. It keeps nothing: given back, it is empty.
#[derive(Debug)]
pub(crate) struct OwnRedis {
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl OwnRedis {
    /// Starts one; `None`, said aloud, where the program is missing.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut redis = Self { port, dir: TempDir::new().unwrap(), child: None };
        if redis.spawn().is_err() {
            eprintln!("SKIPPED for want of redis-server: {test}");
            return None;
        }
        Some(redis)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The same address, and nothing in it.
    pub(crate) fn give_back(&mut self) {
        self.spawn().unwrap();
    }

    /// FLUSHALL: nothing is left, and nobody is told.
    pub(crate) fn empty(&self) {
        let answer = ask(&self.url(), "FLUSHALL").expect("Redis answers");
        assert_eq!(answer.matches("+OK").count(), 3, "{answer}");
    }

    fn spawn(&mut self) -> std::io::Result<()> {
        let port = self.port.to_string();
        let arguments = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
        let mut command = Command::new("redis-server");
        command.args(arguments).args(["--maxmemory-policy", "noeviction"]).current_dir(self.dir.path());
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let began = Instant::now();
        while ask(&self.url(), "PING").is_none_or(|answer| !answer.contains("+PONG")) {
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The names of all keys.
pub(crate) fn keys(url: &str) -> BTreeSet<String> {
    let answer = ask(url, "KEYS *").expect("Redis answers");
    // `$5` comes before a key of five bytes; what begins otherwise is an answer to SELECT or QUIT, or the length of the list.
    let lines = answer.lines().map(str::trim).filter(|line| !line.starts_with(['+', '*', '$', ':']));
    lines.map(str::to_owned).collect()
}

/// Sends one command on a connection of its own.
fn ask(url: &str, command: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    let database = url.path().trim_start_matches('/');
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap_or(6379))).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(format!("SELECT {database}\r\n{command}\r\nQUIT\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
