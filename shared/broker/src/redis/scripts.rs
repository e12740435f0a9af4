//! The scripts of the queue: each `.lua` file behind `prelude.lua`, which lists the keys.

use ::redis::Script;

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("prelude.lua"), "\n", include_str!($file)))
    };
}

/// All scripts, with their hashes.
pub(super) struct Scripts {
    pub(super) push: Script,
    pub(super) claim: Script,
    pub(super) renew: Script,
    pub(super) restore: Script,
    pub(super) ack: Script,
    pub(super) give_back: Script,
    pub(super) remove: Script,
    pub(super) standing: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            push: script!("push.lua"),
            claim: script!("claim.lua"),
            renew: script!("renew.lua"),
            restore: script!("restore.lua"),
            ack: script!("ack.lua"),
            give_back: script!("give_back.lua"),
            remove: script!("remove.lua"),
            standing: script!("standing.lua"),
        }
    }
}
