//! The machine under any order of asks, reports and time, against providers that count.

use std::collections::VecDeque;

use acm2_domain::call::{RateHints, RateWindow};
use acm2_domain::timing::Timing;
use proptest::prelude::*;

use super::*;

const START: u64 = 1_000 * SECOND;
const LEASE: Duration = Duration::from_mins(1);

fn rules(calls: u64) -> LaneRules {
    LaneRules { calls, ..LaneRules::new(&Timing::default(), 1) }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn told(limit: u64, remaining: u64, reset_ms: u64) -> RateHints {
    RateHints { requests: Some(RateWindow { limit, remaining, reset: ms(reset_ms) }), tokens: None }
}

/// A lane with a clock.
struct Bench {
    lane: LaneState,
    rules: LaneRules,
    now: u64,
    nonce: u64,
}

impl Bench {
    fn new(calls: u64) -> Self {
        Self { lane: LaneState::default(), rules: rules(calls), now: START, nonce: 0 }
    }

    fn ask(&mut self) -> Permission {
        self.nonce += 1;
        self.lane.ask(&self.rules, self.nonce, LEASE, self.now)
    }

    fn go(&mut self) -> Ticket {
        match self.ask() {
            Permission::Go(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn done(&mut self, ticket: Ticket, outcome: Outcome, rates: RateHints) {
        self.lane.done(&self.rules, ticket, Report { rates, ..Report::of(outcome) }, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += micros(time);
    }

    /// Makes one call that ends like this at once.
    fn call(&mut self, outcome: Outcome, rates: RateHints) {
        let ticket = self.go();
        self.done(ticket, outcome, rates);
    }
}

#[test]
fn a_cold_lane_lets_a_few_start_and_then_one_by_one_until_an_answer() {
    let mut bench = Bench::new(100);
    let tickets: Vec<Ticket> = (0..5).map(|_| bench.go()).collect();
    assert_eq!(bench.ask(), Permission::Wait(ms(50)));
    bench.pass(ms(50));
    bench.go();
    assert_eq!(bench.ask(), Permission::Wait(ms(50)));
    bench.done(tickets[0], Outcome::Answered, RateHints::default());
    for _ in 0..50 {
        bench.go();
    }
}

#[test]
fn a_small_limit_is_spaced_evenly_with_room_for_the_jitter_of_the_network() {
    let mut bench = Bench::new(100);
    // Rounded up by a millisecond, as some do.
    bench.call(Outcome::Answered, told(5, 4, 1_001));
    let mut starts = Vec::new();
    let end = bench.now + 20 * SECOND;
    while bench.now < end {
        match bench.ask() {
            Permission::Go(ticket) => {
                starts.push(bench.now);
                bench.done(ticket, Outcome::Answered, told(5, 1, 1_000));
            }
            Permission::Wait(wait) => bench.pass(wait),
            Permission::Closed(..) => panic!("closed"),
        }
    }
    assert!(starts.windows(6).all(|six| six[5] - six[0] >= SECOND + 250_000), "{starts:?}");
    assert!(starts.len() >= 60, "{} calls in 20 s", starts.len());
}

#[test]
fn nothing_left_parks_the_lane_until_the_reset() {
    let mut bench = Bench::new(100);
    bench.call(Outcome::Answered, told(500, 0, 7_000));
    assert_eq!(bench.ask(), Permission::Wait(ms(7_000)));
    bench.pass(ms(7_000));
    bench.go();
}

#[test]
fn plenty_is_not_spaced_and_little_is() {
    let mut bench = Bench::new(100);
    bench.call(Outcome::Answered, told(500, 499, 60_000));
    let under_way: Vec<Ticket> = (0..50).map(|_| bench.go()).collect();
    bench.done(under_way[49], Outcome::Answered, told(500, 30, 60_000));
    // 30 in 60 s; twice the even space is the most.
    let Permission::Wait(wait) = bench.ask() else { panic!("not spaced") };
    assert!((ms(200)..ms(300)).contains(&wait), "{wait:?}");
}

#[test]
fn calls_that_started_after_the_one_that_reports_are_taken_from_what_is_left() {
    let mut bench = Bench::new(100);
    let tickets: Vec<Ticket> = (0..5).map(|_| bench.go()).collect();
    bench.done(tickets[0], Outcome::Answered, told(5, 4, 1_000));
    assert!(matches!(bench.ask(), Permission::Wait(wait) if wait >= ms(1_000)), "four more are on their way");
}

#[test]
fn a_429_parks_for_what_is_asked_and_its_companions_are_no_news() {
    let mut bench = Bench::new(100);
    let tickets: Vec<Ticket> = (0..5).map(|_| bench.go()).collect();
    for ticket in tickets {
        bench.done(ticket, Outcome::RateLimited(Some(ms(2_000))), RateHints::default());
    }
    assert_eq!(bench.lane.known(bench.now).slow, ms(100), "one slow-down, not five");
    assert_eq!(bench.ask(), Permission::Wait(ms(2_000)));
    bench.pass(ms(2_000));
    // Those who waited come one after the other, and ever faster.
    let (mut gaps, mut last) = (Vec::new(), bench.now);
    while gaps.len() < 30 {
        match bench.ask() {
            Permission::Go(ticket) => {
                gaps.push(bench.now - last);
                last = bench.now;
                bench.done(ticket, Outcome::Answered, RateHints::default());
            }
            Permission::Wait(wait) => bench.pass(wait),
            Permission::Closed(..) => panic!("closed"),
        }
    }
    assert!(gaps.windows(2).skip(1).all(|two| two[1] <= two[0]), "{gaps:?}");
    assert!(gaps[1] >= 50_000 && gaps[29] == 0, "{gaps:?}");
}

#[test]
fn a_refused_key_closes_the_lane_for_a_while() {
    let mut bench = Bench::new(100);
    bench.call(Outcome::Refused(Refused::Quota), RateHints::default());
    assert_eq!(bench.ask(), Permission::Closed(Refused::Quota, ms(60_000)));
    bench.pass(ms(60_000));
    bench.go();
}

#[test]
fn the_breaker_opens_lets_one_probe_through_after_ever_longer_delays_and_closes_on_success() {
    let mut bench = Bench::new(100);
    bench.call(Outcome::Answered, RateHints::default());
    for _ in 0..5 {
        assert_eq!(bench.lane.known(bench.now).breaker, Breaker::Closed);
        bench.call(Outcome::Failed, RateHints::default());
    }
    for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(bench.lane.known(bench.now).breaker, Breaker::Open);
        assert_eq!(bench.ask(), Permission::Wait(ms(delay * 1_000)));
        bench.pass(ms(delay * 1_000));
        assert_eq!(bench.lane.known(bench.now).breaker, Breaker::HalfOpen);
        let probe = bench.go();
        assert_eq!(bench.ask(), Permission::Wait(ms(250)), "one probe at a time");
        bench.done(probe, Outcome::Failed, RateHints::default());
    }
    bench.pass(ms(60_000));
    // A probe that was lost does not keep the others out for ever.
    bench.go();
    bench.pass(LEASE);
    let probe = bench.go();
    bench.done(probe, Outcome::Answered, RateHints::default());
    assert_eq!(bench.lane.known(bench.now).breaker, Breaker::Closed);
    bench.go();
    bench.go();
}

#[test]
fn no_more_calls_are_under_way_than_the_cap_and_those_of_the_dead_stop_counting() {
    let mut bench = Bench::new(2);
    let (first, _dead) = (bench.go(), bench.go());
    assert_eq!(bench.ask(), Permission::Wait(ms(250)));
    bench.done(first, Outcome::Answered, RateHints::default());
    bench.done(first, Outcome::Answered, RateHints::default());
    bench.go();
    assert_eq!(bench.lane.known(bench.now).under_way, 2, "a second report changes nothing");
    bench.pass(LEASE);
    assert_eq!(bench.lane.known(bench.now).under_way, 0);
    bench.go();
}

#[test]
fn a_lane_that_was_lost_is_told_again() {
    let mut bench = Bench::new(100);
    bench.call(Outcome::RateLimited(Some(ms(9_000))), told(5, 0, 1_000));
    let known = bench.lane.known(bench.now);
    let lost = LaneState::begin(known, bench.now);
    assert_eq!(lost.known(bench.now), known);
    assert_eq!(LaneState::begin(Known::default(), bench.now), LaneState::default());
    bench.lane = lost;
    assert_eq!(bench.ask(), Permission::Wait(ms(9_000)));
}

/// How a provider counts.
#[derive(Debug, Clone, Copy)]
enum Counting {
    /// So many in each window that begins with its first call.
    Fixed,
    /// So many in any time of this length.
    Sliding,
    /// Filled up steadily.
    Bucket,
}

/// A provider that counts on arrival and tells how it stands.
#[derive(Debug)]
struct Provider {
    counting: Counting,
    limit: u64,
    window: u64,
    calls: VecDeque<u64>,
    missing: u64,
    at: u64,
}

impl Provider {
    /// Whether a call at this time is allowed, and what is told.
    fn call(&mut self, now: u64) -> (bool, RateWindow) {
        match self.counting {
            Counting::Fixed => {
                if self.calls.front().is_some_and(|first| now >= first + self.window) {
                    self.calls.clear();
                }
            }
            Counting::Sliding => self.calls.retain(|call| now < call + self.window),
            // In parts of a call: `window` of them make one.
            Counting::Bucket => {
                self.missing = self.missing.saturating_sub((now - self.at) * self.limit);
                self.at = now;
            }
        }
        let used = match self.counting {
            Counting::Bucket => self.missing.div_ceil(self.window),
            _ => self.calls.len() as u64,
        };
        let allowed = used < self.limit;
        if allowed {
            self.calls.push_back(now);
            self.missing += self.window;
        }
        let used = used + u64::from(allowed);
        let reset = match self.counting {
            Counting::Fixed => self.calls.front().map_or(0, |first| first + self.window - now),
            Counting::Sliding => self.calls.back().map_or(0, |last| last + self.window - now),
            Counting::Bucket => self.missing.div_ceil(self.limit),
        };
        (allowed, RateWindow { limit: self.limit, remaining: self.limit - used, reset: Duration::from_micros(reset) })
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Ask,
    Answer(prop::sample::Index, bool),
    Lose(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u64..120_000).prop_map(Step::Pass),
        1 => (1_u64..2_500_000).prop_map(Step::Pass),
        8 => Just(Step::Ask),
        6 => (any::<prop::sample::Index>(), prop::bool::weighted(0.15)).prop_map(|(call, fails)| Step::Answer(call, fails)),
        1 => any::<prop::sample::Index>().prop_map(Step::Lose),
    ]
}

fn counting() -> impl Strategy<Value = Counting> {
    prop_oneof![Just(Counting::Fixed), Just(Counting::Sliding), Just(Counting::Bucket)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_small_limit_is_kept_once_it_is_known_and_nobody_waits_for_ever(
        counting in counting(), limit in 1_u64..FEW, cap in 1_u64..12, steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut provider =
            Provider { counting, limit, window: SECOND, calls: VecDeque::new(), missing: 0, at: START };
        let mut bench = Bench::new(cap);
        let mut under_way: Vec<(Ticket, bool, RateWindow)> = Vec::new();
        // The limit is known from the first call on.
        let ticket = bench.go();
        let (_, rates) = provider.call(bench.now);
        bench.done(ticket, Outcome::Answered, RateHints { requests: Some(rates), tokens: None });
        let mut starts = Vec::new();
        for step in steps {
            match step {
                Step::Pass(time) => bench.now += time,
                Step::Ask => match bench.ask() {
                    Permission::Go(ticket) => {
                        starts.push(bench.now);
                        let (allowed, rates) = provider.call(bench.now);
                        under_way.push((ticket, allowed, rates));
                    }
                    Permission::Wait(wait) => prop_assert!(wait > Duration::ZERO && wait <= ms(120_000), "{wait:?}"),
                    Permission::Closed(..) => prop_assert!(false, "no key was refused"),
                },
                Step::Answer(call, fails) if !under_way.is_empty() => {
                    let (ticket, allowed, rates) = under_way.swap_remove(call.index(under_way.len()));
                    let hints = RateHints { requests: Some(rates), tokens: None };
                    match (allowed, fails) {
                        (true, true) => bench.done(ticket, Outcome::Failed, RateHints::default()),
                        (true, false) => bench.done(ticket, Outcome::Answered, hints),
                        (false, _) => bench.done(ticket, Outcome::RateLimited(None), hints),
                    }
                }
                Step::Lose(call) if !under_way.is_empty() => {
                    under_way.swap_remove(call.index(under_way.len()));
                }
                Step::Answer(..) | Step::Lose(_) => {}
            }
            let counted = bench.lane.known(bench.now).under_way;
            let alive = under_way.iter().filter(|(ticket, ..)| bench.now < ticket.at + micros(LEASE)).count() as u64;
            prop_assert!(alive <= counted && counted <= cap);
        }
        // What a bucket shows with its first call is too little to know its window by.
        if !matches!(counting, Counting::Bucket) {
            let most = limit as usize;
            prop_assert!(starts.windows(most + 1).all(|calls| calls[most] - calls[0] >= SECOND), "{starts:?}");
        }
        // Whatever happened, who goes on asking is let through.
        for _ in 0..1_000 {
            match bench.ask() {
                Permission::Go(_) => return Ok(()),
                Permission::Wait(wait) => bench.pass(wait),
                Permission::Closed(..) => break,
            }
        }
        prop_assert!(false, "asked a thousand times for nothing");
    }

    #[test]
    fn a_provider_whose_answers_come_quickly_never_has_to_refuse(
        counting in counting(), limit in 1_u64..2_000, latency in 1_u64..60_000, busy in 1_u64..20_000,
    ) {
        let mut provider =
            Provider { counting, limit, window: 60 * SECOND, calls: VecDeque::new(), missing: 0, at: START };
        let mut bench = Bench::new(10_000);
        let mut under_way: VecDeque<(Ticket, RateWindow)> = VecDeque::new();
        let mut made = 0_u64;
        let end = START + 200 * SECOND;
        while bench.now < end && made < 5_000 {
            while under_way.front().is_some_and(|(ticket, _)| ticket.at + latency <= bench.now) {
                let Some((ticket, rates)) = under_way.pop_front() else { break };
                bench.done(ticket, Outcome::Answered, RateHints { requests: Some(rates), tokens: None });
            }
            match bench.ask() {
                // A cold lane knows nothing yet.
                Permission::Go(ticket) => {
                    made += 1;
                    let (allowed, rates) = provider.call(bench.now);
                    prop_assert!(allowed || made <= 5 + latency / 50_000, "call {made} was one too many");
                    under_way.push_back((ticket, rates));
                    bench.now += busy;
                }
                Permission::Wait(wait) => bench.now += micros(wait).min(latency).max(1),
                Permission::Closed(..) => prop_assert!(false, "no key was refused"),
            }
        }
        prop_assert!(made >= limit.min(5), "only {made} calls");
    }
}
