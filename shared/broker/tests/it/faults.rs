//! A server that goes away and comes back, hangs, or refuses the password. Only on servers that the test starts; without
//! `redis-server` on the PATH they are skipped, loudly.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use acm2_broker::dispatch::{BrokerError, Lease, Used};
use acm2_broker::signals::Signal;
use acm2_broker::{Broker, BrokerOptions, open};
use acm2_domain::ids::{RunId, TenantId};
use acm2_domain::job::Queue;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::home::{LEASE, NOW, claimant, job};

const PASSWORD: &str = "hunter2";
/// Longer than any answer may take, with room for a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    port: u16,
    process: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::launch(port)?;
        Some(Self { port, process })
    }

    fn launch(port: u16) -> Option<Child> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", PASSWORD]);
        command.arg("--port").arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.current_dir(std::env::temp_dir()).spawn().ok();
        if process.is_none() {
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!("SKIPPED: redis-server is not installed, so this fault cannot be tested");
            }
        }
        process
    }

    fn broker(&self, password: &str) -> Broker {
        broker_at(self.port, password)
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap().success());
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::launch(self.port).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be stopped already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn broker_at(port: u16, password: &str) -> Broker {
    let url = format!("redis://:{password}@127.0.0.1:{port}").parse().unwrap();
    open(&url, BrokerOptions::new(LEASE)).unwrap()
}

/// A way to a server that can be cut without either end being told, as by a firewall that forgets.
struct Wire {
    port: u16,
    cuts: watch::Sender<()>,
}

impl Wire {
    async fn to(server: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), cuts: watch::Sender::new(()) };
        let cuts = wire.cuts.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        // Both stay open, and silent.
                        _ = cut.changed() => std::future::pending().await,
                    }
                });
            }
        });
        wire
    }

    fn cut(&self) {
        self.cuts.send_replace(());
    }
}

async fn ready(broker: &Broker) {
    let answers = async {
        while broker.dispatch.ping().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), answers).await.unwrap();
}

/// Each method answers with an error, in time, without the password.
async fn all_fail(broker: &Broker) {
    let queue = broker.dispatch.as_ref();
    let lease = Lease { job: job(TenantId::generate()), token: 1 };
    let leases = [lease.clone()];
    let pushed = [lease.job];
    let (tenant, run) = (lease.job.tenant, RunId::generate());
    let grown = [run];
    let calls: Vec<futures_util::future::BoxFuture<'_, Result<(), BrokerError>>> = vec![
        queue.push(&pushed, NOW),
        Box::pin(async { queue.claim(Queue::Runs, claimant(4), 4, NOW).await.map(drop) }),
        Box::pin(async { queue.renew(&leases).await.map(drop) }),
        queue.restore(&lease),
        queue.ack(&lease, Used::default()),
        queue.give_back(&lease, NOW, Used::default()),
        queue.remove(Queue::Runs, tenant, lease.job.id),
        Box::pin(async { queue.load(Queue::Runs, tenant).await.map(drop) }),
        Box::pin(async { queue.depth(Queue::Runs).await.map(drop) }),
        queue.ping(),
        Box::pin(async { queue.standing(Queue::Runs, tenant, lease.job.id).await.map(drop) }),
        Box::pin(async { queue.has_mark().await.map(drop) }),
        queue.set_mark(),
        broker.signals.publish_grown(&grown),
        broker.signals.publish(Signal::Ended { tenant, run }),
    ];
    let start = Instant::now();
    for answer in futures_util::future::join_all(calls).await {
        let error = answer.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error}");
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_restarts_is_used_again() {
    let Some(mut server) = Server::start() else { return };
    let broker = server.broker(PASSWORD);
    ready(&broker).await;
    let queue = broker.dispatch.as_ref();
    let lost = job(TenantId::generate());
    queue.push(&[lost], NOW).await.unwrap();

    // A claim that waits is told too.
    let other = broker.clone();
    let waiting =
        tokio::spawn(
            async move { other.dispatch.claim(Queue::Deliveries, claimant(4), 4, Duration::from_mins(1)).await },
        );
    sleep(Duration::from_millis(200)).await;
    server.stop();
    assert!(timeout(PATIENCE, waiting).await.unwrap().unwrap().is_err());
    all_fail(&broker).await;

    server.restart();
    ready(&broker).await;
    assert_eq!(queue.depth(Queue::Runs).await.unwrap().ready, 0, "it kept nothing");
    queue.push(&[lost], NOW).await.unwrap();
    let leases = queue.claim(Queue::Runs, claimant(4), 4, Duration::from_secs(1)).await.unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(queue.claim(Queue::Runs, claimant(4), 4, Duration::from_millis(100)).await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_hangs_is_away_until_it_answers() {
    let Some(server) = Server::start() else { return };
    let broker = server.broker(PASSWORD);
    ready(&broker).await;
    server.signal("-STOP");
    all_fail(&broker).await;
    server.signal("-CONT");
    ready(&broker).await;
}

#[tokio::test]
async fn a_connection_that_was_cut_silently_is_replaced() {
    let Some(server) = Server::start() else { return };
    ready(&server.broker(PASSWORD)).await;
    let wire = Wire::to(server.port).await;
    let broker = broker_at(wire.port, PASSWORD);
    ready(&broker).await;
    wire.cut();
    all_fail(&broker).await;
    ready(&broker).await;
}

#[tokio::test]
async fn a_refused_password_is_told_but_not_shown() {
    let Some(server) = Server::start() else { return };
    ready(&server.broker(PASSWORD)).await;
    let broker = server.broker("hunter3");
    let error = broker.dispatch.ping().await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("auth"), "{error}");
    assert!(!format!("{error} {error:?} {broker:?}").contains("hunter"), "{error}");
}

#[tokio::test]
async fn signals_are_heard_again_after_a_restart() {
    let Some(mut server) = Server::start() else { return };
    let (speaker, listener) = (server.broker(PASSWORD), server.broker(PASSWORD));
    ready(&speaker).await;
    let heard_by_it = async |broker: &Broker| {
        let mut heard = broker.signals.subscribe();
        let signal = Signal::Command { tenant: TenantId::generate(), run: RunId::generate() };
        timeout(Duration::from_secs(30), async {
            loop {
                let _ = speaker.signals.publish(signal).await;
                if let Ok(received) = timeout(Duration::from_millis(100), heard.recv()).await {
                    return received.unwrap() == signal;
                }
            }
        })
        .await
        .unwrap()
    };
    assert!(heard_by_it(&listener).await);
    server.stop();
    // The own process hears without the server.
    assert!(heard_by_it(&speaker).await);
    server.restart();
    assert!(heard_by_it(&listener).await);
}
