//! Where the embedded servers differ from the real ones on purpose: all of it is here.

/// What a test expects where the two sides differ.
pub(crate) struct Differences {
    /// How the version is told where the build is told too, in the form of `assert_like`.
    pub(crate) build: &'static str,
    /// How nsqlookupd repeats a command that isn't text: the embedded one has text only in its errors.
    pub(crate) repeated_by_nsqlookupd: &'static [u8],
    /// Whether HTTP targets are judged and unescaped before they are looked up: the embedded servers take them as they
    /// come, so that `/%70ing` and `ping` are paths that nobody knows.
    pub(crate) http_targets_are_parsed: bool,
}

pub(crate) const REAL: Differences =
    Differences { build: "1.3.0 (built w/go*)", repeated_by_nsqlookupd: b"F\xff\"O", http_targets_are_parsed: true };

pub(crate) const EMBEDDED: Differences = Differences {
    build: "1.3.0 (built w/gnsq-server *)",
    repeated_by_nsqlookupd: "F\u{fffd}\"O".as_bytes(),
    http_targets_are_parsed: false,
};
