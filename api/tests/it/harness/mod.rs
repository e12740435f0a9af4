//! What every test stands on: `world` (the place of the data), `process` (the binary, killed when dropped), `client` (HTTP),
//! `servers` (databases of the test servers).

mod client;
mod process;
mod servers;
mod world;

pub(crate) use client::{Answer, Client};
pub(crate) use process::Process;
pub(crate) use world::{Tenant, World};

/// Runs each of the named functions, which take a `&World`, over both pairs of back-ends.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod over_files {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::harness::World::files()).await;
            })+
        }
        mod over_servers {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(world) = crate::harness::World::servers(stringify!($name)).await {
                    super::$name(&world).await;
                    world.remove().await;
                }
            })+
        }
    };
}
pub(crate) use on_both;
