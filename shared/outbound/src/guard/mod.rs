//! The SSRF guard: addresses that tenants chose are only connected to where they are public, unless an operator listed them.
//! `clients` builds the guarded client on it; `base_url` and `webhooks` check URLs with it. Knows no provider and no tenant.

mod address;
mod hosts;
mod resolver;

pub use address::is_public;
pub(crate) use hosts::refuse_private_literal;
pub use hosts::{HostUse, is_host_entry, lists_host};
pub use resolver::Refused;
pub(crate) use resolver::{GuardedResolver, Lookup, SystemLookup};
