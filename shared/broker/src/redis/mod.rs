//! The broker on Redis or Valkey: structures and scripts in the `.lua` files (`prelude.lua` lists the keys), one shared
//! connection for commands, one per waiting claim, one for signals. [`crate::open()`] alone names these types.

/// The version of what the keys of queues and lanes hold; a part of their names. Raise it with every change of that: processes of
/// two versions then have queues of their own beside each other, and what one of them leaves is swept into the other's.
const LAYOUT: u32 = 2;

mod diagnose;
mod dispatch;
mod entry;
mod limits;
mod link;
mod scripts;
mod signals;
mod wake;

pub(crate) use diagnose::diagnose;
pub(crate) use dispatch::RedisDispatch;
pub(crate) use limits::RedisLimits;
pub(crate) use link::Link;
pub(crate) use signals::RedisSignals;
