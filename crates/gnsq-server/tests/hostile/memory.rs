//! How much memory the process has.

/// What is resident, in bytes; nothing where the system doesn't tell.
pub(crate) fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024)
}

/// Fails if more than `most` bytes have become resident since `before`.
pub(crate) fn grew_at_most(before: Option<usize>, most: usize) {
    if let (Some(before), Some(now)) = (before, resident()) {
        let grown = now.saturating_sub(before);
        assert!(grown <= most, "{grown} bytes more are resident, which may be {most}");
    }
}
