//! The limit of open files. Its soft part is often 1,024, too few for thousands of calls and hundreds of files; every process
//! may raise it up to the hard part. Called once at start; `acm2 doctor` shows it.

use std::io;

use rlimit::Resource;

/// The limit of open files of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit {
    /// What holds.
    pub soft: u64,
    /// Up to which it can be raised without privileges.
    pub hard: u64,
}

/// Raises the soft limit as far as the process may, and returns what holds then.
pub fn raise() -> io::Result<FileLimit> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    current()
}

/// What holds.
pub fn current() -> io::Result<FileLimit> {
    let (soft, hard) = Resource::NOFILE.get()?;
    Ok(FileLimit { soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let before = current().unwrap();
        Resource::NOFILE.set(before.soft.min(256), before.hard).unwrap();
        let raised = raise().unwrap();
        assert_eq!(raised.hard, before.hard);
        assert!(raised.soft >= before.soft, "{raised:?} {before:?}");
    }
}
