//! Real signals to this very process.

use std::process::Command;
use std::time::Duration;

use acm2_runtime::shutdown::Shutdown;

fn send(signal: &str) {
    let sent = Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn the_first_signal_asks_softly_and_the_second_ends_at_once() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let shutdown = Shutdown::on_signals().unwrap();
    send("-TERM");
    tokio::time::timeout(PATIENCE, shutdown.soft().cancelled()).await.unwrap();
    assert!(!shutdown.hard().is_cancelled());
    send("-INT");
    tokio::time::timeout(PATIENCE, shutdown.hard().cancelled()).await.unwrap();
}
