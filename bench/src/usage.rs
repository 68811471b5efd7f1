//! What this process has used.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// User and system time of another process, to a hundredth of a second.
pub(crate) fn cpu_time_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name, in parentheses, may have spaces in it; the times are the 12th and 13th field behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// The most memory that was ever resident, in KiB.
pub(crate) fn peak_memory_kib() -> u64 {
    status_kib("self", "VmHWM:")
}

/// What is resident now, in KiB.
pub(crate) fn memory_kib() -> u64 {
    status_kib("self", "VmRSS:")
}

/// What is resident now of another process, in KiB.
pub(crate) fn memory_kib_of(pid: u32) -> u64 {
    status_kib(&pid.to_string(), "VmRSS:")
}

fn status_kib(process: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Linux's `USER_HZ`, on every machine.
const TICKS_PER_SECOND: u64 = 100;
