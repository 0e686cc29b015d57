//! What Linux says that this process has used; nothing elsewhere.

use std::fs;

/// How often its threads gave up the processor so far, by themselves or not; of those that have ended nothing is known.
pub fn switches() -> Option<u64> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        // It may end meanwhile.
        let Ok(status) = fs::read_to_string(thread.ok()?.path().join("status")) else {
            continue;
        };
        sum += field(&status, "voluntary_ctxt_switches")?;
        sum += field(&status, "nonvoluntary_ctxt_switches")?;
    }
    Some(sum)
}

/// The most memory that it has held, in KiB.
pub fn peak_kib() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

fn field(status: &str, name: &str) -> Option<u64> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    value.split_whitespace().next()?.parse().ok()
}
