//! An nsqd in memory.

mod options;

pub use options::NsqdOptions;

/// How to start an `Nsqd`.
#[derive(Debug, Clone, Default)]
pub struct NsqdBuilder {
    options: NsqdOptions,
}
