//! The intent to make a call (PROTOCOL rule 7): committed before the provider hears of it, with what the call may cost. Here is
//! decided, under the lock of the run's row, whether the call is made at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acm2_domain::call::{Call, ErrorClass};
use acm2_domain::ids::{AttemptId, ProviderKeyId};
use acm2_domain::journal::TaskKey;
use acm2_domain::money::Usd;
use acm2_outbound::Target;
use acm2_store::provider_keys::ProviderKeyRow;
use acm2_store::runs::{self, Change, FenceError, Fenced, NewAttempt, Orders};
use acm2_store::{StoreError, TenantTx};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use secrecy::SecretString;

use super::attempt::OpenAttempt;
use super::journal::RunCalls;
use super::lane;
use super::money::{self, NoRoom, Reservation};
use super::route::{self, Refusal};
use super::shares::{Share, Shares};
use super::stage_events::About;
use super::writer::{Write, Written};
use crate::context::Trouble;
use crate::lanes::{KeyVersion, LocalLane};

/// A call that is to be made.
pub(super) struct NewIntent {
    id: AttemptId,
    key: TaskKey,
    call: Arc<Call>,
    number: u32,
    /// Whether this claim has taken the task from those that are still to reserve.
    counted: Arc<AtomicBool>,
    /// The lane that let it pass.
    lane: Option<Arc<LocalLane>>,
    /// What it reserves where no ceiling stands over the run.
    fixed: Option<Reservation>,
}

/// All that one call needs.
pub(super) struct CallReady {
    pub(super) open: OpenAttempt,
    pub(super) target: Target,
    pub(super) secret: SecretString,
    pub(super) reservation: Reservation,
}

/// What became of an intent. Only one that is open is written.
pub(super) enum Intent {
    Open(Box<CallReady>),
    Refused(Refusal),
    Skipped,
    /// The run stops.
    Stopped,
    /// The answer of an earlier claim has come meanwhile.
    Late,
    Commanded(Orders),
    OtherKey(&'static str, KeyVersion),
}

impl Intent {
    /// Whether it is written.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

impl NewIntent {
    pub(super) fn new(
        run: &RunCalls,
        key: &TaskKey,
        call: &Arc<Call>,
        number: u32,
        counted: &Arc<AtomicBool>,
        lane: Option<Arc<LocalLane>>,
    ) -> Self {
        let fixed =
            (!run.ceiling).then(|| money::without_ceiling(call, run.context.prices.find(&call.provider, &call.model)));
        let (key, call, counted) = (key.clone(), Arc::clone(call), Arc::clone(counted));
        Self { id: AttemptId::generate(), key, call, number, counted, lane, fixed }
    }

    /// The task that it is a try of.
    pub(super) const fn key(&self) -> &TaskKey {
        &self.key
    }

    /// What the transaction that opens it reserves when it locks the run's row, in picodollars.
    pub(super) fn reserved_at_once(&self) -> i64 {
        self.fixed.and_then(|reservation| reservation.amount).map_or(0, Usd::pico)
    }
}

/// Commits the intent, together with what else the run has to write: from here on the call may be made, and money may be spent.
pub(super) async fn commit(run: &RunCalls, intent: NewIntent) -> Result<Intent, Trouble> {
    let intent = Arc::new(intent);
    let handed_in = run.writer.hand_in(Write::Intent(Arc::clone(&intent)));
    let apart = match run.writer.see_through(run, handed_in).await {
        Written::Intent(intent) => return Ok(intent),
        Written::Apart(apart) => apart,
        // The writer answers an intent with an intent.
        Written::Settled(_) | Written::Ended(_) => return Ok(Intent::Stopped),
    };
    let earlier = u32::from(apart.unclear);
    run.context.stored(|tried| commit_apart(run, &intent, tried + earlier).boxed()).await
}

/// `tried`: how many earlier transactions may have been applied.
async fn commit_apart(run: &RunCalls, intent: &NewIntent, tried: u32) -> Result<Intent, FenceError> {
    let (now, fence) = (run.context.clock.now(), run.control.fence);
    let mut stages = run.stage_events.turn().await;
    let tx = run.context.store.tenant(run.tenant_id()).begin().await?;
    let about = About { asked: vec![&intent.key], ..About::default() };
    let events = stages.tell(run, &tx, Vec::new(), about).await?;
    let numbers = events.len() as u64;
    // The row is locked before an earlier try is looked for: its commit may be on the way.
    let at_once = if tried > 0 { 0 } else { intent.reserved_at_once() };
    let mut locked = runs::lock(&tx, fence, Change { reserved: at_once, ..Change::default() }, numbers).await?;
    let applied = if tried > 0 { runs::find_reserved(&tx, intent.id).await? } else { None };
    let applied = applied.map(|reserved| Applied { reserved });
    if tried > 0 && applied.is_none() && intent.reserved_at_once() > 0 {
        locked = runs::reserve(&tx, fence, Usd::from_pico(intent.reserved_at_once())).await?;
    }
    let wanted = Wanted { intent, applied };
    let opened = open(run, &tx, &locked, &[wanted], now).await?.pop().unwrap_or(Intent::Stopped);
    if opened.is_open() {
        runs::write_events(&tx, fence.run, locked.last_event + 1 - numbers, &events, now).await?;
        tx.commit().await?;
        stages.committed();
        run.control.obey(locked.orders);
    }
    intent.count(run);
    Ok(opened)
}

/// An intent that a transaction is to open.
pub(super) struct Wanted<'a> {
    pub(super) intent: &'a NewIntent,
    /// What an earlier transaction made of it, if one was applied.
    pub(super) applied: Option<Applied>,
}

/// An intent that is open already.
#[derive(Clone, Copy)]
pub(super) struct Applied {
    reserved: Option<Usd>,
}

/// Opens what may be opened, in a transaction that has locked the run's row and reserved `reserved_at_once` of each. Whoever
/// commits it counts them then.
pub(super) async fn open(
    run: &RunCalls,
    tx: &TenantTx,
    locked: &Fenced,
    intents: &[Wanted<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Intent>, FenceError> {
    if intents.is_empty() {
        return Ok(Vec::new());
    }
    let fence = run.control.fence;
    if run.control.skips.is_behind(locked.orders.skips) {
        run.control.skips.skip(runs::list_skipped(tx, fence.run).await?);
    }
    let mut opening = Opening { run, tx, orders: locked.orders, room: locked.room, taken: 0, keys: HashMap::new() };
    let (mut opened, mut attempts, mut to_reserve) = (Vec::new(), Vec::new(), 0_i64);
    for Wanted { intent, applied } in intents {
        let decided = opening.decide(intent, *applied).await?;
        if let Intent::Open(ready) = &decided {
            if applied.is_none() {
                let reserved = ready.open.reserved.map_or(0, Usd::pico);
                to_reserve += reserved - intent.reserved_at_once();
                opening.room = opening.room.map(|room| room - Usd::from_pico(reserved));
                attempts.push(intent.attempt(&ready.open));
            }
        } else {
            to_reserve -= intent.reserved_at_once();
        }
        opened.push(decided);
    }
    if to_reserve != 0 {
        runs::reserve(tx, fence, Usd::from_pico(to_reserve)).await?;
    }
    runs::open_attempts(tx, fence, &attempts, now).await?;
    Ok(opened)
}

impl NewIntent {
    /// Takes its task from those that are still to reserve. Once, however many attempts it takes, and only when what was decided of
    /// it stands; before the next transaction of the run begins.
    pub(super) fn count(&self, run: &RunCalls) {
        count(&run.shares, &self.key, &self.counted);
    }

    fn attempt(&self, open: &OpenAttempt) -> NewAttempt {
        NewAttempt {
            id: self.id,
            task: self.key.clone(),
            number: self.number,
            provider: self.call.provider.clone(),
            model: self.call.model.clone(),
            provider_key: open.key.id,
            key_source: "tenant",
            reserved: open.reserved,
        }
    }
}

/// The intents of one transaction, one after the other.
struct Opening<'a> {
    run: &'a RunCalls,
    tx: &'a TenantTx,
    orders: Orders,
    /// What the ceiling leaves.
    room: Option<Usd>,
    /// How many tasks this transaction takes from those that are still to reserve.
    taken: u64,
    /// Keys that were read in this transaction.
    keys: HashMap<(&'static str, Option<ProviderKeyId>), Option<ProviderKeyRow>>,
}

impl Opening<'_> {
    async fn decide(&mut self, intent: &NewIntent, applied: Option<Applied>) -> Result<Intent, StoreError> {
        let (run, call) = (self.run, &*intent.call);
        let share = self.share(intent);
        // One that is open already is a call in flight.
        if self.orders.requested.is_some() && applied.is_none() {
            return Ok(Intent::Commanded(self.orders));
        }
        if applied.is_none()
            && let Some(overtaken) = self.overtaken(intent).await?
        {
            return Ok(overtaken);
        }
        let Some(provider) = acm2_domain::providers::find_provider(&call.provider) else {
            return Ok(Intent::Refused(route::unknown_provider(call)));
        };
        let wish = (provider.slug, call.provider_key);
        if !self.keys.contains_key(&wish) {
            let row = acm2_store::provider_keys::find_for_call(self.tx, provider.slug, call.provider_key).await?;
            self.keys.insert(wish, row);
        }
        let row = self.keys.get(&wish).and_then(Option::as_ref);
        let route = match route::open(&run.context, &run.tenant, provider, call, row) {
            Ok(route) => route,
            Err(refusal) => return Ok(Intent::Refused(refusal)),
        };
        let found = lane::version_of(&route.key);
        // The lane of the key that is used must have been asked.
        if applied.is_none() && !intent.lane.as_ref().is_some_and(|lane| lane.is_of(found)) {
            return Ok(Intent::OtherKey(provider.slug, found));
        }
        let reservation = match intent.fixed {
            Some(fixed) => fixed,
            None => match self.under_ceiling(call, share, applied) {
                Ok(reservation) => reservation,
                Err(no_room) => return Ok(Intent::Refused(refuse(no_room))),
            },
        };
        let open = OpenAttempt { id: intent.id, key: route.key, reserved: reservation.amount };
        Ok(Intent::Open(Box::new(CallReady { open, target: route.target, secret: route.secret, reservation })))
    }

    /// The task's part of what the ceiling leaves. Asked while the run's row is locked, so that those who share come one after
    /// another.
    fn share(&mut self, intent: &NewIntent) -> Share {
        let own = self.run.shares.weight(&intent.key);
        let left = self.run.shares.left().saturating_sub(self.taken);
        if intent.counted.load(Ordering::Relaxed) {
            return Share { own, total: left.saturating_add(own) };
        }
        self.taken = self.taken.saturating_add(own);
        Share { own, total: left }
    }

    /// What happened while this waited for the lane or for the store: no call is begun after it.
    async fn overtaken(&self, intent: &NewIntent) -> Result<Option<Intent>, StoreError> {
        let control = &self.run.control;
        if control.skips.of(&intent.key).is_cancelled() {
            return Ok(Some(Intent::Skipped));
        }
        if control.drain.is_cancelled() {
            return Ok(Some(Intent::Stopped));
        }
        if !self.run.may_come_late(&intent.key) {
            return Ok(None);
        }
        let (key, question, retried) = (&intent.key, intent.call.question, self.run.retry_claim);
        let late = runs::find_late_answer(self.tx, control.fence.run, key, question, retried).await?;
        Ok(late.map(|_| Intent::Late))
    }

    fn under_ceiling(&self, call: &Call, share: Share, applied: Option<Applied>) -> Result<Reservation, NoRoom> {
        // A ceiling must not rest on the price of a namesake.
        let price = self.run.context.prices.find_exact(&call.provider, &call.model);
        // What an earlier try of this transaction reserved is no longer part of the room: it is all of this call's.
        let (room, share) = match applied.and_then(|applied| applied.reserved) {
            Some(reserved) => (reserved, Share::WHOLE),
            None => (self.room.unwrap_or(Usd::MAX), share),
        };
        let reserve = if self.run.own_ceiling { money::under_ceiling } else { money::under_budgets };
        reserve(call, price, room, share)
    }
}

/// Takes a task from those that are still to reserve, once.
pub(super) fn count(shares: &Shares, key: &TaskKey, counted: &AtomicBool) {
    if !counted.swap(true, Ordering::Relaxed) {
        shares.take(key);
    }
}

fn refuse(no_room: NoRoom) -> Refusal {
    match no_room {
        NoRoom::CeilingReached => Refusal {
            class: ErrorClass::CostCeiling,
            message: "what max_cost_usd or the budgets leave to this run does not pay for this call".to_owned(),
        },
        NoRoom::PriceUnknown => Refusal {
            class: ErrorClass::PriceUnknown,
            message: "the price of this model is not known, so it cannot be called under max_cost_usd or a budget"
                .to_owned(),
        },
    }
}
