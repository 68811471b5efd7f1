//! Time, processor time and memory of this process, and the line that tells them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Runs from `start` to `stop`, each of which may be called by any thread, once.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    started: Option<(Instant, Duration)>,
    passed: Option<(Duration, Duration)>,
    threads: u64,
}

impl Clock {
    pub(crate) fn started() -> Self {
        let clock = Self::default();
        clock.start();
        clock
    }

    pub(crate) fn start(&self) {
        self.state().started = Some((Instant::now(), cpu_time()));
    }

    pub(crate) fn stop(&self) {
        let (now, cpu) = (Instant::now(), cpu_time());
        let mut state = self.state();
        let (began, before) = state.started.expect("the clock was started");
        state.passed = Some((now - began, cpu.saturating_sub(before)));
        state.threads = status("Threads:");
    }

    /// Prints the line that `bench/run` reads; `warm_up`: how many messages came before the clock was started.
    pub(crate) fn report(&self, latencies: &[Duration], warm_up: usize) {
        let micros: Vec<_> = latencies.iter().map(|time| format!("{:.1}", time.as_secs_f64() * 1e6)).collect();
        self.report_more(&format!(r#""warm_up": {warm_up}, "latencies_us": [{}]"#, micros.join(", ")));
    }

    /// Prints the line with these fields in it.
    pub(crate) fn report_more(&self, fields: &str) {
        let state = self.state();
        let (wall, cpu) = state.passed.expect("the clock was stopped");
        println!(
            r#"{{"seconds": {}, "cpu": {}, "peak_kib": {}, "threads": {}, {fields}}}"#,
            wall.as_secs_f64(),
            cpu.as_secs_f64(),
            status("VmHWM:"),
            state.threads,
        );
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
