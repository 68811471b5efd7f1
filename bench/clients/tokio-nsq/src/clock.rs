//! Time, processor time and memory of this process, and the line that tells them.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub(crate) struct Clock {
    began: Instant,
    before: Duration,
    passed: (Duration, Duration),
    threads: u64,
}

impl Clock {
    pub(crate) fn started() -> Self {
        Self { began: Instant::now(), before: cpu_time(), passed: Default::default(), threads: 0 }
    }

    pub(crate) fn stop(&mut self) {
        self.passed = (self.began.elapsed(), cpu_time().saturating_sub(self.before));
        self.threads = status("Threads:");
    }

    /// Prints the line that the driver reads; `warm_up` messages came before the clock was started.
    pub(crate) fn report(&self, latencies: &[Duration], warm_up: usize) {
        let micros: Vec<_> = latencies.iter().map(|time| format!("{:.1}", time.as_secs_f64() * 1e6)).collect();
        println!(
            r#"{{"seconds": {}, "cpu": {}, "peak_kib": {}, "threads": {}, "warm_up": {warm_up}, "latencies_us": [{}]}}"#,
            self.passed.0.as_secs_f64(),
            self.passed.1.as_secs_f64(),
            status("VmHWM:"),
            self.threads,
            micros.join(", "),
        );
    }
}

/// User and system time of all threads.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// A number that Linux tells of this process; memory in KiB.
fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
