//! Where the embedded servers differ from the real ones on purpose: all of it is here.

/// What a test expects where the two sides differ.
pub(crate) struct Differences {
    /// How the version is told where the build is told too: `nsqd v1.3.0 (built w/go1.26.8)`.
    pub(crate) build: &'static str,
}

pub(crate) const REAL: Differences = Differences { build: "1.3.0 (built w/go*)" };
