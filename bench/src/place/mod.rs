//! What stands around the product: servers that it needs, its processes, and what it calls. `chaos` and `figures` build on it;
//! nothing here knows what is measured or broken.

pub(crate) mod cpu;
pub(crate) mod house;
pub(crate) mod http;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod redis;
