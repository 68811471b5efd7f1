//! What this process has used, between two moments.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub(crate) struct Clock {
    began: Instant,
    cpu: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    /// What has been used since, as the fields of a JSON object.
    pub(crate) fn stop(&self) -> String {
        let (seconds, cpu) = (self.began.elapsed(), cpu_time().saturating_sub(self.cpu));
        format!(
            r#""seconds": {}, "cpu": {}, "peak_kib": {}, "threads": {}"#,
            seconds.as_secs_f64(),
            cpu.as_secs_f64(),
            status("VmHWM:"),
            status("Threads:"),
        )
    }
}

/// The time of the whole machine, in nanoseconds: the same in all processes.
pub(crate) fn machine_time() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

/// User and system time of all threads.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// A number that Linux tells of this process.
fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
