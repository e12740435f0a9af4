//! The scripts do to a hash what the machine in memory does to itself, step by step, under a clock that the test moves.

use acm2_domain::call::{RateHints, RateWindow};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use proptest::prelude::*;
use secrecy::SecretString;

use super::*;
use crate::memory::LaneState;

/// The last argument is the time.
const CLOCK: &str = "local function now_us() return tonumber(ARGV[#ARGV]) end";
const START: u64 = 1_800_000_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Ask,
    Done(prop::sample::Index, Outcome, Option<RateWindow>, Option<RateWindow>, Option<u64>),
    Lose(bool),
}

fn window() -> impl Strategy<Value = Option<RateWindow>> {
    let window = (prop_oneof![1_u64..10, 20_u64..200], 0_u64..200, 0_u64..70_000).prop_map(|(limit, left, reset)| {
        RateWindow { limit, remaining: left.min(limit), reset: Duration::from_millis(reset) }
    });
    prop::option::of(window)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Answered),
        1 => Just(Outcome::Rejected),
        1 => Just(Outcome::RateLimited(None)),
        1 => (0_u64..5_000).prop_map(|after| Outcome::RateLimited(Some(Duration::from_millis(after)))),
        1 => Just(Outcome::Refused(Refused::Quota)),
        5 => Just(Outcome::Failed),
        1 => Just(Outcome::Unknown),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..400_000).prop_map(Step::Pass),
        1 => (1_u64..70_000_000).prop_map(Step::Pass),
        6 => Just(Step::Ask),
        5 => (any::<prop::sample::Index>(), outcome(), window(), window(), prop::option::of(0_u64..5_000))
            .prop_map(|(call, outcome, requests, tokens, used)| Step::Done(call, outcome, requests, tokens, used)),
        1 => any::<bool>().prop_map(Step::Lose),
    ]
}

fn rules() -> LaneRules {
    LaneRules { calls: 4, ..LaneRules::new(&acm2_domain::timing::Timing::default(), 1) }
}

/// Refused stands in the state for longer than it matters: what is compared is what callers are told.
async fn compare(limits: &RedisLimits, steps: Vec<Step>) {
    let tenant = TenantId::generate();
    let lane = Lane { tenant, provider: "sandbox", key: ProviderKeyId::generate(), version: 1 };
    let (rules, lease) = (rules(), Duration::from_secs(30));
    let (mut now, mut state, mut known, mut tickets) = (START, None, Known::default(), Vec::new());
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Pass(time) => now += time,
            Step::Ask => {
                let machine = state.get_or_insert_with(|| LaneState::begin(known, now));
                let nonce = number as u64 + 1;
                let mut script = limits.asking(&lane, &rules, nonce, lease, &known);
                let answer: Vec<String> = limits.link.invoke(script.arg(now)).await.unwrap();
                let expected = machine.ask(&rules, nonce, lease, now);
                let (told, then) = permission(&answer, nonce).unwrap();
                assert_eq!((told, then), (expected, machine.known(now)), "step {number}");
                known = then;
                if let Permission::Go(ticket) = told {
                    tickets.push(ticket);
                }
            }
            Step::Done(call, outcome, requests, tokens, used) if !tickets.is_empty() => {
                let machine = state.get_or_insert_with(|| LaneState::begin(known, now));
                let ticket = *call.get(&tickets);
                let report = Report { outcome, rates: RateHints { requests, tokens }, tokens: used };
                let mut script = limits.telling(&lane, &rules, ticket, &report, &known);
                let answer: Vec<String> = limits.link.invoke(script.arg(now)).await.unwrap();
                machine.done(&rules, ticket, report, now);
                known = read_known(&answer).unwrap();
                assert_eq!(known, machine.known(now), "step {number}");
            }
            Step::Done(..) => {}
            Step::Lose(remembered) => {
                let prefix = format!("{}:{LAYOUT}:lane:{{{tenant}:sandbox:{}:1}}:", limits.namespace, lane.key);
                let mut command = ::redis::cmd("DEL");
                command.arg(format!("{prefix}state")).arg(format!("{prefix}calls"));
                limits.link.query::<u64>(&command).await.unwrap();
                state = None;
                if !remembered {
                    known = Known::default();
                }
            }
        }
    }
    let prefix = format!("{}:{LAYOUT}:lane:{{{tenant}:sandbox:{}:1}}:", limits.namespace, lane.key);
    for name in ["state", "calls"] {
        let key = format!("{prefix}{name}");
        let ttl: i64 = limits.link.query(::redis::cmd("PTTL").arg(&key)).await.unwrap();
        assert!(ttl > 0 || ttl == -2, "{name} would stay for ever");
        limits.link.query::<u64>(::redis::cmd("DEL").arg(&key)).await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn the_scripts_follow_the_machine_in_memory(steps in prop::collection::vec(step(), 1..120)) {
        #[expect(clippy::disallowed_methods, reason = "tests are told their server by the environment")]
        let Ok(url) = std::env::var("TEST_BROKER_URL") else {
            eprintln!("SKIPPED: set TEST_BROKER_URL to a Redis server to run this test");
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let link = Arc::new(Link::new(&SecretString::from(url)).unwrap());
            compare(&RedisLimits::with_clock(link, "test:lanes", CLOCK), steps).await;
        });
    }
}
