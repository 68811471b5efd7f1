//! The real servers, as child processes.

#[macro_use]
mod lifecycle;

mod api;
mod cluster;
mod log;
mod nsqd;
mod nsqlookupd;
mod process;

use std::env;
use std::path::{Path, PathBuf};

pub use api::{ChannelStats, TopicStats};
pub use cluster::Cluster;
pub use nsqd::{Nsqd, NsqdBuilder};
pub use nsqlookupd::{Nsqlookupd, NsqlookupdBuilder};

/// The path of one of NSQ's programs: `nsqd`, `nsqlookupd`, `nsq_to_file`, …
///
/// It is looked for in the directory that the environment variable `GNSQ_TEST_BIN_DIR` names, else in `tools/bin` of
/// the checkout.
///
/// # Panics
///
/// If it isn't there, with the way to get it.
pub fn program(name: &str) -> PathBuf {
    let directory = match env::var_os("GNSQ_TEST_BIN_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|ancestor| ancestor.join("tools"))
            .find(|tools| tools.join("go.mod").is_file())
            .expect("the testkit is built in a checkout, which has tools/go.mod")
            .join("bin"),
    };
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{name} is not in {}: run `make tools`, or set GNSQ_TEST_BIN_DIR to the directory that has it",
        directory.display()
    );
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "run `make tools`")]
    fn a_missing_program_comes_with_the_way_to_get_it() {
        program("nsq_to_nowhere");
    }
}
