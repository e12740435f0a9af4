//! News: to this process at once, to the others over the server.

use std::time::Duration;

use acm2_broker::signals::Signal;
use acm2_domain::ids::{RunId, TenantId};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{sleep, timeout};

use crate::home::{Home, on_both};

on_both! {
    the_own_process_hears_each_signal_once,
    another_process_hears_it,
    nobody_listening_is_no_error,
    runs_that_have_grown_are_told_to_all_who_asked_once,
}

fn signal() -> Signal {
    Signal::Command { tenant: TenantId::generate(), run: RunId::generate() }
}

async fn the_own_process_hears_each_signal_once(home: Home) {
    let mut heard = home.broker.signals.subscribe();
    let sent = [signal(), Signal::Ended { tenant: TenantId::generate(), run: RunId::generate() }];
    for signal in sent {
        home.broker.signals.publish(signal).await.unwrap();
    }
    assert_eq!([heard.recv().await.unwrap(), heard.recv().await.unwrap()], sent);
    // Time for an echo.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(heard.try_recv(), Err(TryRecvError::Empty));
}

async fn another_process_hears_it(home: Home) {
    let other = home.other_process();
    let mut heard = other.signals.subscribe();
    let sent = signal();
    // A signal sent before the other has subscribed is lost, as it may be.
    let received = timeout(Duration::from_secs(30), async {
        loop {
            home.broker.signals.publish(sent).await.unwrap();
            if let Ok(received) = timeout(Duration::from_millis(100), heard.recv()).await {
                return received.unwrap();
            }
        }
    });
    assert_eq!(received.await.unwrap(), sent);
}

async fn nobody_listening_is_no_error(home: Home) {
    home.broker.signals.publish(signal()).await.unwrap();
}

async fn runs_that_have_grown_are_told_to_all_who_asked_once(home: Home) {
    let other = home.other_process();
    let (mut own, mut signals) = (home.broker.signals.subscribe_grown(), home.broker.signals.subscribe());
    let mut heard = other.signals.subscribe_grown();
    let runs = [RunId::generate(), RunId::generate()];
    let received = timeout(Duration::from_secs(30), async {
        loop {
            home.broker.signals.publish_grown(&runs).await.unwrap();
            assert_eq!(own.recv().await.unwrap()[..], runs);
            if let Ok(received) = timeout(Duration::from_millis(100), heard.recv()).await {
                return received.unwrap();
            }
        }
    });
    assert_eq!(received.await.unwrap()[..], runs);
    sleep(Duration::from_millis(200)).await;
    assert!(own.try_recv().is_err(), "an echo");
    assert_eq!(signals.try_recv(), Err(TryRecvError::Empty), "no signal is pushed out by these");
}
