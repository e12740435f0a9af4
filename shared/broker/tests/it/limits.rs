//! Lanes through their one door: what one process is told holds for the others, and a lane that was lost is told again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acm2_broker::limits::{Breaker, Known, Lane, LaneRules, Outcome, Permission, Refused, Report, Ticket};
use acm2_domain::call::{RateHints, RateWindow};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_domain::timing::Timing;
use tokio::time::Instant;

use crate::home::{Home, on_both};

on_both!(
    all_processes_share_a_cap_and_a_refusal,
    the_calls_of_a_dead_process_stop_counting,
    two_processes_together_keep_the_space_between_calls,
    a_lane_that_was_lost_is_told_again,
    another_version_of_a_key_starts_with_an_empty_lane,
);

const LEASE: Duration = Duration::from_mins(1);

fn lane() -> Lane {
    Lane { tenant: TenantId::generate(), provider: "sandbox", key: ProviderKeyId::generate(), version: 1 }
}

fn rules(calls: usize) -> LaneRules {
    LaneRules::new(&Timing::default(), calls)
}

async fn ask(home: &acm2_broker::Broker, lane: &Lane, rules: &LaneRules, lease: Duration) -> Permission {
    home.limits.ask(lane, rules, lease, Known::default()).await.unwrap().0
}

fn ticket(permission: Permission) -> Ticket {
    match permission {
        Permission::Go(ticket) => ticket,
        Permission::Wait(_) | Permission::Closed(..) => unreachable!("{permission:?}"),
    }
}

async fn all_processes_share_a_cap_and_a_refusal(home: Home) {
    let (one, other, lane, rules) = (home.broker.clone(), home.other_process(), lane(), rules(2));
    let first = ticket(ask(&one, &lane, &rules, LEASE).await);
    ticket(ask(&other, &lane, &rules, LEASE).await);
    assert_eq!(ask(&one, &lane, &rules, LEASE).await, Permission::Wait(rules.poll));
    let report = Report::of(Outcome::Refused(Refused::Auth));
    let known = other.limits.done(&lane, &rules, first, report, Known::default()).await.unwrap();
    assert_eq!((known.under_way, known.breaker), (1, Breaker::Closed));
    assert!(matches!(ask(&one, &lane, &rules, LEASE).await, Permission::Closed(Refused::Auth, _)));
}

async fn the_calls_of_a_dead_process_stop_counting(home: Home) {
    let (lane, rules) = (lane(), rules(1));
    ticket(ask(&home.broker, &lane, &rules, Duration::from_secs(3)).await);
    assert_eq!(ask(&home.broker, &lane, &rules, LEASE).await, Permission::Wait(rules.poll));
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    ticket(ask(&home.broker, &lane, &rules, LEASE).await);
}

async fn two_processes_together_keep_the_space_between_calls(home: Home) {
    let (lane, rules) = (lane(), rules(100));
    let first = ticket(ask(&home.broker, &lane, &rules, LEASE).await);
    let window = RateWindow { limit: 10, remaining: 9, reset: Duration::from_secs(1) };
    let report = Report { rates: RateHints { requests: Some(window), tokens: None }, ..Report::of(Outcome::Answered) };
    home.broker.limits.done(&lane, &rules, first, report, Known::default()).await.unwrap();
    let (made, until) = (&AtomicUsize::new(0), Instant::now() + Duration::from_secs(30));
    let callers = (0..12).map(|number| {
        let broker = if number % 2 == 0 { home.broker.clone() } else { home.other_process() };
        let lane = lane.clone();
        async move {
            let mut starts = Vec::new();
            while made.load(Ordering::Relaxed) < 8 && Instant::now() < until {
                match ask(&broker, &lane, &rules, LEASE).await {
                    Permission::Go(ticket) => {
                        made.fetch_add(1, Ordering::Relaxed);
                        starts.push(ticket.at);
                    }
                    Permission::Wait(wait) => tokio::time::sleep(wait).await,
                    Permission::Closed(..) => unreachable!("nothing was refused"),
                }
            }
            starts
        }
    });
    let mut starts: Vec<u64> = futures_util::future::join_all(callers).await.concat();
    starts.sort_unstable();
    assert!(starts.len() >= 8, "{starts:?}");
    // Ten in one second and a quarter.
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= 125_000), "{starts:?}");
}

async fn a_lane_that_was_lost_is_told_again(mut home: Home) {
    let (lane, rules) = (lane(), rules(100));
    let first = ticket(ask(&home.broker, &lane, &rules, LEASE).await);
    let report = Report::of(Outcome::RateLimited(Some(Duration::from_secs(30))));
    let known = home.broker.limits.done(&lane, &rules, first, report, Known::default()).await.unwrap();
    home.lose_everything().await;
    // A report of a call that the lane has never heard of brings the memory back as well.
    let again = home.broker.limits.done(&lane, &rules, first, Report::of(Outcome::Unknown), known).await.unwrap();
    assert_eq!(again.under_way, 0);
    let (permission, _) = home.broker.limits.ask(&lane, &rules, LEASE, known).await.unwrap();
    assert!(matches!(permission, Permission::Wait(wait) if wait > Duration::from_secs(20)), "{permission:?}");
}

async fn another_version_of_a_key_starts_with_an_empty_lane(home: Home) {
    let (lane, rules) = (lane(), rules(1));
    let first = ticket(ask(&home.broker, &lane, &rules, LEASE).await);
    let report = Report::of(Outcome::Refused(Refused::Quota));
    home.broker.limits.done(&lane, &rules, first, report, Known::default()).await.unwrap();
    ticket(ask(&home.broker, &Lane { version: 2, ..lane }, &rules, LEASE).await);
}
