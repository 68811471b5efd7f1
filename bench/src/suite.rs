//! All works with all clients, in turn.

use std::net::SocketAddr;
use std::process::{Command, ExitCode};

use gnsq_testkit::Nsqd;

use crate::{CHANNEL, Client, TOPIC, Work, socket_loop};

struct Run {
    messages_per_second: f64,
    cpu_micros: f64,
    peak_kib: f64,
}

pub(crate) fn run() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    println!(
        "| work | client | messages/s | client CPU, us a message | peak memory, MiB | of the socket loop's rate |"
    );
    println!("|---|---|---|---|---|---|");
    for work in Work::ALL {
        let mut runs: Vec<Vec<Run>> = Client::ALL.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (client, runs) in Client::ALL.into_iter().zip(&mut runs) {
                runs.push(runtime.block_on(once(work, client)));
            }
        }
        let reference = median(&runs[0], |run| run.messages_per_second);
        for (client, runs) in Client::ALL.into_iter().zip(&runs) {
            let rate = median(runs, |run| run.messages_per_second);
            println!(
                "| {} | {} | {:.0} | {:.2} | {:.1} | {:.2} |",
                work.name(),
                client.name(),
                rate,
                median(runs, |run| run.cpu_micros),
                median(runs, |run| run.peak_kib) / 1024.0,
                rate / reference,
            );
        }
    }
    ExitCode::SUCCESS
}

async fn once(work: Work, client: Client) -> Run {
    // Everything stays in memory: the client is what is measured.
    let nsqd = Nsqd::builder().arg("--mem-queue-size=20000000").start().await;
    nsqd.create_channel(TOPIC, CHANNEL).await;
    let messages = work.messages();
    if work == Work::Consume {
        let address = nsqd.tcp_address();
        tokio::task::spawn_blocking(move || socket_loop::preload(address, messages)).await.expect("it publishes");
    }
    let run = spawn(work, client, nsqd.tcp_address());
    let stats = nsqd.topic_stats(TOPIC).await.expect("the topic is there");
    assert_eq!(stats.message_count, messages as u64, "nsqd counts what was published");
    if work == Work::Consume {
        let channel = nsqd.channel_stats(TOPIC, CHANNEL).await.expect("the channel is there");
        assert_eq!((channel.depth, channel.in_flight_count), (0, 0), "nsqd has nothing left");
    }
    run
}

#[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
fn spawn(work: Work, client: Client, address: SocketAddr) -> Run {
    let program = std::env::current_exe().expect("this program has a path");
    let arguments = [work.name(), client.name(), &address.to_string()];
    let output = Command::new(program).args(arguments).output().expect("this program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let numbers: Vec<f64> = last.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [wall, cpu, peak_kib] = numbers[..] else { panic!("{arguments:?} printed {text:?}") };
    let messages = work.messages() as f64;
    Run { messages_per_second: messages / wall, cpu_micros: cpu * 1e6 / messages, peak_kib }
}

fn median(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

const ROUNDS: usize = 3;
