//! Takes from the process what a parser does not need: memory without end, time without end, and writing files.

use std::io;

use rlimit::Resource;

/// Address space in bytes: the program itself takes some hundred MiB of it in a debug build.
const MEMORY: u64 = 1 << 30;
/// Seconds of processor time.
const SECONDS: u64 = 20;

/// Confines this process; for good.
pub fn confine() -> io::Result<()> {
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
