//! `gnsq dev`: an nsqd and an nsqlookupd, wired together.

use std::io;

use clap::Args;
use gnsq_server::{Nsqd, Nsqlookupd, StartError};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::logging::LogArgs;
use crate::output;

/// Run an nsqd and an nsqlookupd in memory, wired together
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DevArgs {
    /// Where to listen, and what clients are told
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: String,

    /// Listen on free ports, not on the usual ones
    #[arg(long)]
    free_ports: bool,

    /// Print where they listen as a line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    log: LogArgs,
}

/// Where they listen.
#[derive(Debug, Serialize)]
struct Addresses {
    nsqd_tcp_address: String,
    nsqd_http_address: String,
    lookupd_tcp_address: String,
    lookupd_http_address: String,
    /// The ports that somebody else had.
    #[serde(skip)]
    taken: Vec<u16>,
}

/// The ports to try.
#[derive(Debug, Clone, Copy)]
struct Ports {
    tcp: u16,
    http: u16,
}

pub(crate) async fn run(args: DevArgs) -> Result<Exit, Failure> {
    args.log.start();
    let mut interrupts = Interrupts::listen()?;
    let usual = |tcp, http| if args.free_ports { Ports { tcp: 0, http: 0 } } else { Ports { tcp, http } };
    let mut taken = Vec::new();
    let (host, at) = (args.host.as_str(), |port: u16| at(&args.host, port));
    let lookupd = start(usual(4160, 4161), &mut taken, async |ports| {
        let builder = Nsqlookupd::builder().broadcast_address(host);
        builder.tcp_address(at(ports.tcp)).http_address(at(ports.http)).start().await
    })
    .await?;
    let nsqd = start(usual(4150, 4151), &mut taken, async |ports| {
        let builder = Nsqd::builder().broadcast_address(host).lookupd(&lookupd);
        builder.tcp_address(at(ports.tcp)).http_address(at(ports.http)).start().await
    })
    .await?;
    let addresses = Addresses {
        nsqd_tcp_address: nsqd.tcp_address(),
        nsqd_http_address: nsqd.http_address(),
        lookupd_tcp_address: lookupd.tcp_address(),
        lookupd_http_address: lookupd.http_address(),
        taken,
    };
    let told = if args.json { output::print_json(&addresses) } else { output::print(addresses.text()) };
    if let Err(error) = told {
        output::write_failed(&error)?;
    }
    interrupts.next().await;
    let stop = async {
        nsqd.shutdown().await;
        lookupd.shutdown().await;
    };
    tokio::select! {
        () = stop => {}
        _ = interrupts.next() => {}
    }
    Ok(Exit::Done)
}

/// Starts a server on these ports, or on free ones instead of those that are `taken`.
async fn start<T>(
    mut ports: Ports,
    taken: &mut Vec<u16>,
    server: impl AsyncFn(Ports) -> Result<T, StartError>,
) -> Result<T, Failure> {
    loop {
        match server(ports).await {
            Ok(server) => return Ok(server),
            Err(StartError::Listen { what, source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
                let port = if what == "TCP" { &mut ports.tcp } else { &mut ports.http };
                if *port == 0 {
                    return Err(Failure::failed("there is no free port"));
                }
                taken.push(std::mem::take(port));
            }
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

fn at(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Addresses {
    fn text(&self) -> String {
        let Self { nsqd_tcp_address, nsqd_http_address, lookupd_tcp_address, lookupd_http_address, taken } = self;
        let taken = match &taken[..] {
            [] => String::new(),
            ports => {
                let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                format!("\nTaken by somebody else, so a free port is used instead: {}.\n", ports.join(", "))
            }
        };
        format!(
            "\
nsqd        TCP {nsqd_tcp_address}   HTTP {nsqd_http_address}
nsqlookupd  TCP {lookupd_tcp_address}   HTTP {lookupd_http_address}
{taken}
Type in another terminal:
  export GNSQ_LOOKUPD_HTTP_ADDRESS={lookupd_http_address}
  gnsq tail orders
and in a third:
  export GNSQ_LOOKUPD_HTTP_ADDRESS={lookupd_http_address}
  gnsq pub orders 'one coffee'
  gnsq stat

Everything is in memory, and gone after Ctrl-C.
"
        )
    }
}

const AFTER_HELP: &str = "\
Ports: nsqd 4150 (TCP) and 4151 (HTTP), nsqlookupd 4160 (TCP) and 4161 (HTTP), or free ones where these are taken. \
Everything is in memory, and gone with the program.

Examples:
  gnsq dev
  gnsq dev --free-ports --json | jq -r .nsqd_tcp_address";
