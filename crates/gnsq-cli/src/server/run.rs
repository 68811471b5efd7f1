//! Runs one server until a signal.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;

use gnsq_server::{StartError, version_line};

use super::flags::{Flag, Flags, Parsed};
use super::log::{self, ServerLog};
use super::{nsqd, nsqlookupd};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::{cli, output};

/// One of NSQ's servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daemon {
    Nsqd,
    Nsqlookupd,
}

impl Daemon {
    pub(crate) const ALL: [Self; 2] = [Self::Nsqd, Self::Nsqlookupd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nsqd => "nsqd",
            Self::Nsqlookupd => "nsqlookupd",
        }
    }

    pub(crate) fn flags(self) -> &'static [Flag] {
        match self {
            Self::Nsqd => nsqd::FLAGS,
            Self::Nsqlookupd => nsqlookupd::FLAGS,
        }
    }

    /// What each line of its log begins with by default.
    fn prefix(self) -> &'static str {
        match self {
            Self::Nsqd => "[nsqd] ",
            Self::Nsqlookupd => "[nsqlookupd] ",
        }
    }
}

/// Runs the server that these arguments describe, until SIGINT or SIGTERM. It does as the real one does when the
/// arguments are wrong, or ask for its version.
pub(crate) async fn run(daemon: Daemon, arguments: Vec<String>) -> Result<Exit, Failure> {
    let parsed = Flags::parse(daemon.flags(), arguments)
        .map_err(|error| Failure::usage(format!("{error}\nSee `gnsq {} --help` for its flags.", daemon.name())))?;
    let mut flags = match parsed {
        Parsed::Flags(flags) => flags,
        Parsed::Help => return print(cli::daemon_help(daemon)),
    };
    if flags.switch("version") == Some(true) {
        return print(version_line(daemon.name()) + "\n");
    }
    let unknown = match read_config(&mut flags) {
        Ok(unknown) => unknown,
        Err(reason) => {
            log::fatal(flags.text("log-prefix").unwrap_or(daemon.prefix()), reason);
            return Ok(Exit::Failed);
        }
    };
    let log = ServerLog::start(flags.text("log-prefix").unwrap_or(daemon.prefix()), nsqd::log_level(&flags));
    tracing::info!("{}", version_line(daemon.name()));
    for key in unknown {
        tracing::warn!("the configuration file has {key}, which means nothing to {}", daemon.name());
    }
    let idle = flags.idle();
    if !idle.is_empty() {
        tracing::warn!("without effect on a server in memory: --{}", idle.join(", --"));
    }
    let mut interrupts = Interrupts::listen()?;
    let ended = match daemon {
        Daemon::Nsqd => run_nsqd(&flags, &log, &mut interrupts).await,
        Daemon::Nsqlookupd => run_nsqlookupd(&flags, &mut interrupts).await,
    };
    Ok(match ended {
        Ok(()) => Exit::Done,
        Err(reason) => {
            log.fatal(format!("failed to instantiate {} - {reason}", daemon.name()));
            Exit::Failed
        }
    })
}

async fn run_nsqd(flags: &Flags, log: &ServerLog, interrupts: &mut Interrupts) -> Result<(), String> {
    tracing::info!("ID: {}", nsqd::node_id(flags)?);
    let nsqd = nsqd::builder(flags)?.start().await.map_err(reason)?;
    let mut addresses = vec![("TCP", nsqd.tcp_address()), ("HTTP", nsqd.http_address())];
    addresses.extend(nsqd.https_address().map(|address| ("HTTPS", address)));
    say("listening on", &addresses);
    let mut level = nsqd.log_level();
    loop {
        tokio::select! {
            _ = interrupts.next() => break,
            Ok(()) = level.changed() => log.set_level(*level.borrow_and_update()),
        }
    }
    say("closing", &addresses);
    end(nsqd.shutdown(), interrupts).await;
    tracing::info!("NSQ: bye");
    Ok(())
}

async fn run_nsqlookupd(flags: &Flags, interrupts: &mut Interrupts) -> Result<(), String> {
    let lookupd = nsqlookupd::builder(flags).start().await.map_err(reason)?;
    let addresses = [("HTTP", lookupd.http_address()), ("TCP", lookupd.tcp_address())];
    say("listening on", &addresses);
    interrupts.next().await;
    say("closing", &addresses);
    end(lookupd.shutdown(), interrupts).await;
    Ok(())
}

/// Waits for the end, unless there is another request to stop.
async fn end(shutdown: impl Future<Output = ()>, interrupts: &mut Interrupts) {
    tokio::select! {
        () = shutdown => {}
        _ = interrupts.next() => {}
    }
}

fn say(what: &str, addresses: &[(&str, String)]) {
    for (protocol, address) in addresses {
        tracing::info!("{protocol}: {what} {address}");
    }
}

/// Returns the keys that mean nothing.
fn read_config(flags: &mut Flags) -> Result<Vec<String>, String> {
    let Some(path) = flags.text("config").filter(|path| !path.is_empty()).map(str::to_owned) else {
        return Ok(Vec::new());
    };
    let failed = |error: &dyn Display| format!("failed to load config file {path} - {error}");
    let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
    flags.read_config(&text).map_err(|error| failed(&error))
}

/// In the words that who starts servers looks for.
fn reason(error: StartError) -> String {
    match error {
        StartError::Listen { address, source, .. } if source.kind() == ErrorKind::AddrInUse => {
            format!("listen ({address}) failed - address already in use")
        }
        error => error.to_string(),
    }
}

fn print(text: String) -> Result<Exit, Failure> {
    match output::print(text) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => output::write_failed(&error),
    }
}
