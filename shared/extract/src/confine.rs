//! Takes from the process what a parser does not need: memory without end, time without end, and writing files. Where memory
//! runs out all the same, the system ends it before the process that started it.

use std::io;

use rlimit::Resource;

/// Address space in bytes: the program itself takes some hundred MiB of it in a debug build.
const MEMORY: u64 = 1 << 30;
/// Seconds of processor time.
const SECONDS: u64 = 20;

/// How gladly Linux ends the process where memory runs out: before all others (proc(5), `oom_score_adj`).
const FIRST_TO_GO: &str = "1000";

/// Confines this process; for good.
pub fn confine() -> io::Result<()> {
    // First: afterwards nothing can be written. Only a limit more, so a system without it does not stop the reading of files.
    let _ = go_first();
    for (resource, most) in
        [(Resource::AS, MEMORY), (Resource::CPU, SECONDS), (Resource::FSIZE, 0), (Resource::CORE, 0)]
    {
        // Not every system has every limit.
        if resource.is_supported() {
            let (_, hard) = resource.get()?;
            let most = most.min(hard);
            resource.set(most, most)?;
        }
    }
    Ok(())
}

/// Nobody needs a right to make itself more likely to be ended.
fn go_first() -> io::Result<()> {
    if cfg!(target_os = "linux") { std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO) } else { Ok(()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn where_memory_runs_out_this_process_goes_first() {
        go_first().unwrap();
        assert_eq!(std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim(), FIRST_TO_GO);
    }
}
