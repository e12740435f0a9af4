//! The broker of a single process, with the semantics of `redis/`. [`crate::open()`] alone names these types.

mod accounts;
mod dispatch;
mod queue;
mod ring;
mod signals;

pub(crate) use dispatch::MemoryDispatch;
pub(crate) use signals::MemorySignals;
