//! The broker of a single process, with the semantics of `redis/`. [`crate::open()`] alone names these types.

mod accounts;
mod dispatch;
mod lane;
mod limits;
mod queue;
mod ring;
mod signals;

pub(crate) use dispatch::MemoryDispatch;
#[cfg(test)]
pub(crate) use lane::LaneState;
pub(crate) use limits::MemoryLimits;
pub(crate) use signals::MemorySignals;
