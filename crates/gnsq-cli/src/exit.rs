//! How the program ends.

use std::fmt;
use std::process::ExitCode;

use crate::interrupt::Interrupt;

/// The end of a command that could do its work. Listed in [`EXIT_CODES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All of it is done.
    Done,
    /// It couldn't be done.
    Failed,
    /// The command line, the environment or the configuration file can't be used; nothing was done.
    Usage,
    /// A part of it could not be done.
    Partial,
    /// It was asked to stop before its end, and brought to an end what it had begun.
    Interrupted(Interrupt),
}

/// Why a command could not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            // What a shell reports of a program that the signal has ended.
            Self::Interrupted(Interrupt::Int) => 130,
            Self::Interrupted(Interrupt::Term) => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl Failure {
    /// The work couldn't be done.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string() }
    }

    /// What was asked for can't be meant.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Shown by `gnsq --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  done; also when the reader of the output has left (a broken pipe)
    1  failed: nothing could be connected to, read or written, or a server refused
    2  wrong usage: of the command line, the environment or the configuration file
    3  done in part: some messages were not published, or some servers failed
  130  stopped by SIGINT (Ctrl-C); what was begun was brought to an end
  143  stopped by SIGTERM; likewise
The servers (nsqd, nsqlookupd, dev) end with 0 when a signal stops them.";
