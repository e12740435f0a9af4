//! The broker on Redis or Valkey: structures and scripts in the `.lua` files (`prelude.lua` lists the keys), one shared
//! connection for commands, one per waiting claim, one for signals. [`crate::open()`] alone names these types.

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
