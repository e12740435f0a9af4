//! The lanes on Redis: each is a hash and a set in a slot of its own, changed by two scripts that use the server's clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Script, ScriptInvocation};
use acm2_domain::call::RateWindow;
use async_trait::async_trait;

use super::LAYOUT;
use super::link::Link;
use crate::dispatch::BrokerError;
use crate::limits::{Breaker, Known, Lane, LaneRules, Learned, Limits, Outcome, Permission, Refused, Report, Ticket};

/// How many fields of an answer tell what is known.
const KNOWN: usize = 10;

macro_rules! script {
    ($clock:expr, $file:literal) => {
        Script::new(&[include_str!("lane.lua"), $clock, include_str!($file)].join("\n"))
    };
}

/// The lanes on Redis.
pub(crate) struct RedisLimits {
    link: Arc<Link>,
    ask: Script,
    done: Script,
    namespace: String,
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimits").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl RedisLimits {
    pub(crate) fn new(link: Arc<Link>, namespace: &str) -> Self {
        Self::with_clock(link, namespace, include_str!("server_clock.lua"))
    }

    fn with_clock(link: Arc<Link>, namespace: &str, clock: &str) -> Self {
        Self {
            link,
            ask: script!(clock, "lane_ask.lua"),
            done: script!(clock, "lane_done.lua"),
            namespace: namespace.to_owned(),
        }
    }

    /// The script with the lane's keys and what the caller remembers; the braces are the hash tag that keeps both in one slot.
    fn invocation<'a>(&self, script: &'a Script, lane: &Lane, known: &Known) -> ScriptInvocation<'a> {
        let Lane { tenant, provider, key, version } = lane;
        let prefix = format!("{}:{LAYOUT}:lane:{{{tenant}:{provider}:{key}:{version}}}:", self.namespace);
        let mut invocation = script.key(format!("{prefix}state"));
        invocation.key(format!("{prefix}calls"));
        let (refused, closed) = match known.closed {
            Some((refused, wait)) => (word_of(refused), wait),
            None => ("", Duration::ZERO),
        };
        invocation.arg(micros(known.parked)).arg(micros(closed));
        for learned in [known.requests, known.tokens] {
            let Learned { limit, window } = learned.unwrap_or(Learned { limit: 0, window: Duration::ZERO });
            invocation.arg(limit).arg(micros(window));
        }
        invocation.arg(micros(known.slow)).arg(refused);
        invocation
    }

    fn asking<'a>(
        &'a self,
        lane: &Lane,
        rules: &LaneRules,
        nonce: u64,
        lease: Duration,
        known: &Known,
    ) -> ScriptInvocation<'a> {
        let mut script = self.invocation(&self.ask, lane, known);
        script.arg(nonce.to_string()).arg(micros(lease)).arg(rules.calls).arg(micros(rules.poll));
        script.arg(rules.cold_calls).arg(micros(rules.cold)).arg(micros(rules.jitter)).arg(micros(rules.forget));
        script
    }

    fn telling<'a>(
        &'a self,
        lane: &Lane,
        rules: &LaneRules,
        ticket: Ticket,
        report: &Report,
        known: &Known,
    ) -> ScriptInvocation<'a> {
        let mut script = self.invocation(&self.done, lane, known);
        script.arg(ticket.nonce.to_string()).arg(ticket.number).arg(ticket.at);
        let after = match report.outcome {
            Outcome::RateLimited(Some(after)) => micros(after).to_string(),
            _ => "-1".to_owned(),
        };
        script.arg(outcome_word(report.outcome)).arg(after);
        for told in [report.rates.requests, report.rates.tokens] {
            let told = told.unwrap_or(RateWindow { limit: 0, remaining: 0, reset: Duration::ZERO });
            script.arg(told.limit).arg(told.remaining).arg(micros(told.reset));
        }
        script.arg(report.tokens.map_or_else(|| "-1".to_owned(), |tokens| tokens.to_string()));
        script.arg(micros(rules.closed)).arg(rules.breaker_failures);
        for (first, cap) in [rules.breaker, rules.slow] {
            script.arg(micros(first)).arg(micros(cap));
        }
        script.arg(micros(rules.forget));
        script
    }
}

#[async_trait]
impl Limits for RedisLimits {
    async fn ask(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        lease: Duration,
        known: Known,
    ) -> Result<(Permission, Known), BrokerError> {
        let nonce: u64 = rand::random();
        let answer: Vec<String> = self.link.invoke(&self.asking(lane, rules, nonce, lease, &known)).await?;
        permission(&answer, nonce).ok_or_else(strange)
    }

    async fn done(
        &self,
        lane: &Lane,
        rules: &LaneRules,
        ticket: Ticket,
        report: Report,
        known: Known,
    ) -> Result<Known, BrokerError> {
        let answer: Vec<String> = self.link.invoke(&self.telling(lane, rules, ticket, &report, &known)).await?;
        read_known(&answer).ok_or_else(strange)
    }
}

fn strange() -> BrokerError {
    BrokerError("a lane answered what cannot be understood".to_owned())
}

fn permission(answer: &[String], nonce: u64) -> Option<(Permission, Known)> {
    let (first, known) = answer.split_at_checked(3)?;
    let known = read_known(known)?;
    let [kind, number, time] = first else { return None };
    let time: u64 = time.parse().ok()?;
    let permission = match kind.as_str() {
        "go" => Permission::Go(Ticket { nonce, number: number.parse().ok()?, at: time }),
        "wait" => Permission::Wait(Duration::from_micros(time)),
        "closed" => Permission::Closed(known.closed?.0, Duration::from_micros(time)),
        _ => return None,
    };
    Some((permission, known))
}

fn read_known(answer: &[String]) -> Option<Known> {
    if answer.len() != KNOWN {
        return None;
    }
    let number = |at: usize| answer[at].parse::<u64>().ok();
    let time = |at: usize| number(at).map(Duration::from_micros);
    let learned = |at: usize| -> Option<Option<Learned>> {
        let (limit, window) = (number(at)?, time(at + 1)?);
        Some((!window.is_zero()).then_some(Learned { limit, window }))
    };
    let closed = time(1)?;
    let refused = match answer[8].as_str() {
        "auth" => Some(Refused::Auth),
        "quota" => Some(Refused::Quota),
        _ => None,
    };
    Some(Known {
        parked: time(0)?,
        closed: refused.filter(|_| !closed.is_zero()).map(|refused| (refused, closed)),
        requests: learned(2)?,
        tokens: learned(4)?,
        slow: time(6)?,
        under_way: number(7)?,
        breaker: match answer[9].as_str() {
            "closed" => Breaker::Closed,
            "open" => Breaker::Open,
            "half_open" => Breaker::HalfOpen,
            _ => return None,
        },
    })
}

const fn word_of(refused: Refused) -> &'static str {
    match refused {
        Refused::Auth => "auth",
        Refused::Quota => "quota",
    }
}

const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Rejected => "rejected",
        Outcome::RateLimited(_) => "rate_limited",
        Outcome::Refused(refused) => word_of(refused),
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
