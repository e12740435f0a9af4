//! What processes used, read from `/proc`: CPU seconds and resident memory.

use std::fs;

use crate::outcome::Outcome;

/// Clock ticks in a second; the same on every Linux that we meet.
const TICKS: f64 = 100.0;

/// CPU seconds of a process, with those of its children that have ended.
pub(crate) fn seconds(pid: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold blanks.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS)
}

/// CPU seconds of a process and of all its living descendants of the first generation, as PostgreSQL has them.
pub(crate) fn seconds_with_children(pid: u32) -> Outcome<f64> {
    let mut sum = seconds(pid)?;
    for task in fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?.split_whitespace() {
        sum += task.parse().ok().and_then(|child| seconds(child).ok()).unwrap_or_default();
    }
    Ok(sum)
}

/// Resident memory in MiB.
pub(crate) fn resident_mib(pid: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let me = std::process::id();
        assert!(resident_mib(me).unwrap() > 1.0);
        assert!(seconds(me).unwrap() >= 0.0);
    }
}
