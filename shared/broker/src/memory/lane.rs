//! One lane as a state machine of its own: what `redis/lane.lua` does to a hash, line by line. Knows no clock: whoever calls says
//! what time it is. All times and durations are whole microseconds.

use std::collections::HashMap;
use std::time::Duration;

use acm2_domain::call::RateWindow;

use crate::limits::{Breaker, Known, LaneRules, Learned, Outcome, Permission, Refused, Report, Ticket};

/// Below this a limit is so small that its calls are spaced from the first on.
const FEW: u64 = 20;
const SECOND: u64 = 1_000_000;
/// The windows that providers have: a second, a minute, an hour, a day.
const WINDOWS: [u64; 4] = [SECOND, 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND];

/// What is known of a limit of requests or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Meter {
    limit: u64,
    left: u64,
    /// 0: not known, so that nothing is spaced by it.
    window: u64,
    /// When all is there again.
    reset: u64,
    /// Whether some of it was there again before the reset.
    steady: bool,
}

/// The state of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LaneState {
    /// Calls that have started.
    sent: u64,
    /// When the last one did.
    last: u64,
    /// Whether the provider has answered anything.
    warm: bool,
    parked: u64,
    closed: u64,
    refused: Option<Refused>,
    slow: u64,
    /// The number of the last call that had started when `slow` grew: what those meet is no news.
    slowed: u64,
    failures: u64,
    /// How often the breaker opened since the last success; 0 while it is closed.
    opens: u64,
    open: u64,
    /// The call that finds out whether the provider is back.
    probe: Option<u64>,
    /// The number of the newest call whose report of limits was used.
    heard: u64,
    /// Tokens of a call, on average.
    used: u64,
    requests: Meter,
    tokens: Meter,
    /// By nonce, when each call that is under way stops counting.
    calls: HashMap<u64, u64>,
}

impl LaneState {
    /// A lane that begins with what a caller remembers.
    pub(crate) fn begin(known: Known, now: u64) -> Self {
        let meter = |learned: Option<Learned>| {
            learned.map_or_else(Meter::default, |learned| {
                let window = micros(learned.window);
                Meter { limit: learned.limit, left: learned.limit, window, reset: now + window, steady: false }
            })
        };
        let later = |wait: Duration| if wait.is_zero() { 0 } else { now + micros(wait) };
        Self {
            warm: known.requests.is_some() || known.tokens.is_some(),
            parked: later(known.parked),
            closed: known.closed.map_or(0, |(_, wait)| later(wait)),
            refused: known.closed.map(|(refused, _)| refused),
            slow: micros(known.slow),
            requests: meter(known.requests),
            tokens: meter(known.tokens),
            ..Self::default()
        }
    }

    /// Asks to start a call.
    pub(crate) fn ask(&mut self, rules: &LaneRules, nonce: u64, lease: Duration, now: u64) -> Permission {
        self.calls.retain(|_, until| *until > now);
        if let Some(refused) = self.refused
            && self.closed > now
        {
            return Permission::Closed(refused, Duration::from_micros(self.closed - now));
        }
        let mut until = self.parked.max(if self.opens > 0 { self.open } else { 0 });
        let mut gap = self.slow;
        if !self.warm && self.sent >= rules.cold_calls {
            gap = gap.max(micros(rules.cold));
        }
        let token_cost = self.used.max(1);
        for (meter, cost) in [(&mut self.requests, 1), (&mut self.tokens, token_cost)] {
            let (wait_until, space) = meter.pace(cost, micros(rules.jitter), now);
            until = until.max(wait_until);
            gap = gap.max(space);
        }
        if self.sent > 0 {
            until = until.max(self.last + gap);
        }
        if until > now {
            return Permission::Wait(Duration::from_micros(until - now));
        }
        let probing = self.opens > 0;
        let probed = probing && self.probe.is_some_and(|probe| self.calls.contains_key(&probe));
        if probed || self.calls.len() as u64 >= rules.calls {
            return Permission::Wait(rules.poll);
        }
        self.sent += 1;
        self.last = now;
        self.requests.take(1);
        self.tokens.take(token_cost);
        self.calls.insert(nonce, now + micros(lease));
        if probing {
            self.probe = Some(nonce);
        }
        Permission::Go(Ticket { nonce, number: self.sent, at: now })
    }

    /// A call has ended.
    pub(crate) fn done(&mut self, rules: &LaneRules, ticket: Ticket, report: Report, now: u64) {
        self.calls.retain(|_, until| *until > now);
        self.calls.remove(&ticket.nonce);
        let probed = self.probe == Some(ticket.nonce);
        if probed {
            self.probe = None;
        }
        match report.outcome {
            Outcome::Answered => {
                self.works();
                self.slow = if self.slow < 1_000 { 0 } else { self.slow * 3 / 4 };
            }
            Outcome::Rejected => self.works(),
            Outcome::RateLimited(after) => {
                self.works();
                if ticket.number > self.slowed {
                    self.slow = (self.slow * 2).clamp(micros(rules.slow.0), micros(rules.slow.1));
                    self.slowed = self.sent;
                }
                self.parked = self.parked.max(now + after.map_or(self.slow, micros));
            }
            Outcome::Refused(refused) => {
                self.warm = true;
                self.closed = now + micros(rules.closed);
                self.refused = Some(refused);
            }
            Outcome::Failed => self.fails(rules, probed, now),
            Outcome::Unknown => {}
        }
        if let Some(tokens) = report.tokens {
            self.used = if self.used == 0 { tokens } else { (self.used * 7 + tokens) / 8 };
        }
        // After a loss of the lane a call may have a higher number than any that the lane has seen.
        let number = if ticket.number > self.sent { 0 } else { ticket.number };
        if number >= self.heard {
            let age = now.saturating_sub(ticket.at);
            let since = self.sent - number;
            let token_cost = self.used.max(1);
            if let Some(told) = report.rates.requests {
                self.requests.told(told, since, 1, age, now);
                self.heard = number;
            }
            if let Some(told) = report.rates.tokens {
                self.tokens.told(told, since, token_cost, age, now);
                self.heard = number;
            }
        }
        if matches!(report.outcome, Outcome::RateLimited(_)) {
            self.requests.steady = false;
            self.tokens.steady = false;
        }
    }

    fn works(&mut self) {
        self.warm = true;
        self.failures = 0;
        self.opens = 0;
        self.open = 0;
        self.probe = None;
    }

    fn fails(&mut self, rules: &LaneRules, probed: bool, now: u64) {
        if self.opens == 0 {
            self.failures += 1;
            if self.failures < rules.breaker_failures {
                return;
            }
        } else if !probed {
            // It had started before the breaker opened.
            return;
        }
        let delay = micros(rules.breaker.0) * (1 << self.opens.min(20));
        self.open = now + delay.min(micros(rules.breaker.1));
        self.opens += 1;
    }

    /// What callers remember of it.
    pub(crate) fn known(&self, now: u64) -> Known {
        let left = |until: u64| Duration::from_micros(until.saturating_sub(now));
        let learned = |meter: &Meter| {
            (meter.window > 0).then(|| Learned { limit: meter.limit, window: Duration::from_micros(meter.window) })
        };
        Known {
            parked: left(self.parked),
            closed: self.refused.filter(|_| self.closed > now).map(|refused| (refused, left(self.closed))),
            requests: learned(&self.requests),
            tokens: learned(&self.tokens),
            slow: Duration::from_micros(self.slow),
            under_way: self.calls.values().filter(|until| **until > now).count() as u64,
            breaker: match self.opens {
                0 => Breaker::Closed,
                _ if self.open > now => Breaker::Open,
                _ => Breaker::HalfOpen,
            },
        }
    }

    /// When nothing of it matters any more, but for `forget`.
    pub(crate) fn over(&self) -> u64 {
        let calls = self.calls.values().copied().max().unwrap_or(0);
        self.parked.max(self.closed).max(self.open).max(calls)
    }
}

impl Meter {
    /// Until when a call of this cost must wait, and how much space the meter wants between two.
    fn pace(&mut self, cost: u64, jitter: u64, now: u64) -> (u64, u64) {
        if self.window == 0 {
            return (0, 0);
        }
        if now >= self.reset {
            self.left = self.limit;
            self.reset = now + self.window;
        }
        let cost = cost.min(self.limit);
        let even = share(self.window + jitter, cost, self.limit);
        if self.left < cost {
            // Calls that are spaced evenly from the first on do not use up what comes back steadily.
            return if self.steady && self.limit < FEW { (0, even) } else { (self.reset, 0) };
        }
        let space = if self.limit < FEW {
            even
        } else if self.left * 4 < self.limit {
            // Others use the key too, or it was used before: what is left is spread over the time that is left.
            even.max(share(self.reset - now, cost, self.left).min(2 * even))
        } else if self.left * 2 < self.limit {
            even
        } else {
            0
        };
        (0, space)
    }

    fn take(&mut self, cost: u64) {
        self.left = self.left.saturating_sub(cost.min(self.limit));
    }

    /// The provider told how the limit stood for a call of this age; `since` calls started after it.
    fn told(&mut self, told: RateWindow, since: u64, cost: u64, age: u64, now: u64) {
        let reset = micros(told.reset);
        let guessed = window_of(told, reset);
        if self.limit == told.limit {
            self.window = self.window.max(guessed);
        } else {
            let (limit, reset) = (told.limit, now + guessed);
            *self = Self { limit, left: limit, window: guessed, reset, steady: false };
        }
        // What is older than the time to the reset no longer says what is left.
        if age < reset {
            let left = told.remaining.saturating_sub(since.saturating_mul(cost));
            self.steady |= left > self.left && now < self.reset;
            self.left = left;
            self.reset = now + reset;
        }
    }
}

/// The length of the window, which no provider tells. One that fills up steadily shows it by what is missing and the time that
/// this takes; one that fills up at once, by a usual length that is not shorter than the time. The shorter of both is right for
/// either, or too short at first, and then grows.
fn window_of(told: RateWindow, reset: u64) -> u64 {
    let used = told.limit - told.remaining.min(told.limit);
    if used == 0 {
        return reset;
    }
    // Some round up.
    let usual = WINDOWS.into_iter().find(|usual| reset <= usual + usual / 50).unwrap_or(reset);
    share(reset, told.limit, used).min(usual)
}

/// `time * part / whole`, rounded down.
fn share(time: u64, part: u64, whole: u64) -> u64 {
    let exact = u128::from(time) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
