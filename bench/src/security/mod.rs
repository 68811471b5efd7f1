//! What compression and TLS cost, and what they save: the same work with each, on nsqds that offer them all.

mod bodies;
mod layer;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use gnsq::{ConnectionConfig, Consumer, Producer};
use gnsq_testkit::{Nsqd, Proxy};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{BATCH, CHANNEL, MAX_IN_FLIGHT, TOPIC, Work, gnsq_client, usage};
use bodies::Body;
use layer::Layer;

struct Run {
    rate: f64,
    cpu_micros: f64,
}

/// Prints the table.
pub(crate) fn run() -> ExitCode {
    let runtime = Runtime::new().expect("threads can be started");
    println!(
        "| messages | work | connection | messages/s | of the plain one's | client CPU, us a message | bytes sent a message |"
    );
    println!("|---|---|---|---|---|---|---|");
    for body in Body::ALL {
        let sent = Layer::ALL.map(|layer| runtime.block_on(bytes_sent(body, layer)));
        for work in [Work::Publish, Work::Consume] {
            let mut runs = Layer::ALL.map(|_| Vec::new());
            for _ in 0..ROUNDS {
                for (layer, runs) in Layer::ALL.into_iter().zip(&mut runs) {
                    runs.push(runtime.block_on(once(work, body, layer)));
                }
            }
            let plain = median(&runs[0], |run| run.rate);
            for ((layer, runs), sent) in Layer::ALL.into_iter().zip(&runs).zip(sent) {
                let rate = median(runs, |run| run.rate);
                println!(
                    "| {} | {} | {} | {rate:.0} | {:.2} | {:.2} | {sent:.0} |",
                    body.title(),
                    work.name(),
                    layer.name(),
                    rate / plain,
                    median(runs, |run| run.cpu_micros),
                );
            }
        }
    }
    ExitCode::SUCCESS
}

/// One run, in a process of its own: `WORK LAYER BODY HOST:PORT AUTHORITY`. Prints its seconds and those of the processor.
pub(crate) fn child(arguments: &[&str]) -> Option<()> {
    let [work, layer, body, address, authority] = *arguments else { return None };
    let work = Work::ALL.into_iter().find(|known| known.name() == work)?;
    let layer = Layer::ALL.into_iter().find(|known| known.name() == layer)?;
    let body = Body::ALL.into_iter().find(|known| known.name() == body)?;
    let address: SocketAddr = address.parse().ok()?;
    let config = layer.config(Path::new(authority));
    let bodies = body.bodies();
    let runtime = Runtime::new().expect("threads can be started");
    let (began, cpu) = (Instant::now(), usage::cpu_time());
    runtime.block_on(async {
        if work == Work::Consume {
            let builder = Consumer::builder(TOPIC, CHANNEL).nsqd(address).connection(config);
            gnsq_client::consume(builder.max_in_flight(MAX_IN_FLIGHT), body.messages()).await;
        } else {
            gnsq_client::publish(producer(address, config), &bodies, body.messages()).await;
        }
    });
    println!("{} {}", began.elapsed().as_secs_f64(), usage::cpu_time().saturating_sub(cpu).as_secs_f64());
    Some(())
}

/// An nsqd with a certificate, and the file with its authority.
struct Setup {
    nsqd: Nsqd,
    files: TempDir,
}

impl Setup {
    async fn start() -> Self {
        let files = tempfile::tempdir().expect("the temporary directory can be written");
        let key = KeyPair::generate().expect("there is randomness");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("it is an address");
        let certificate = params.self_signed(&key).expect("the key can sign");
        let write = |name: &str, text: String| {
            let path = files.path().join(name);
            std::fs::write(&path, text).expect("the temporary directory can be written");
            path.display().to_string()
        };
        let nsqd = Nsqd::builder()
            // Everything stays in memory: the client is what is measured.
            .arg("--mem-queue-size=20000000")
            .arg(format!("--tls-cert={}", write(AUTHORITY, certificate.pem())))
            .arg(format!("--tls-key={}", write("key.pem", key.serialize_pem())))
            .start()
            .await;
        nsqd.create_channel(TOPIC, CHANNEL).await;
        Self { nsqd, files }
    }
}

async fn once(work: Work, body: Body, layer: Layer) -> Run {
    let Setup { nsqd, files } = Setup::start().await;
    if work == Work::Consume {
        preload(&nsqd, body).await;
    }
    let run = spawn(work, body, layer, nsqd.tcp_address(), &files.path().join(AUTHORITY));
    let stats = nsqd.channel_stats(TOPIC, CHANNEL).await.expect("the channel is there");
    assert_eq!(stats.message_count, body.messages() as u64, "nsqd counts what was published");
    if work == Work::Consume {
        assert_eq!((stats.depth, stats.in_flight_count), (0, 0), "nsqd has nothing left");
    }
    run
}

async fn preload(nsqd: &Nsqd, body: Body) {
    let producer = producer(nsqd.tcp_address(), ConnectionConfig::new());
    let bodies = body.bodies();
    let mut next = bodies.iter().cycle();
    for _ in 0..body.messages() / BATCH {
        let batch: Vec<_> = next.by_ref().take(BATCH).cloned().collect();
        producer.multipublish(TOPIC, batch).await.expect("nsqd confirms");
    }
    producer.close().await;
}

/// How many bytes a message is on its way to nsqd, its command included.
#[allow(clippy::cast_precision_loss, reason = "it is far below 2^52")]
async fn bytes_sent(body: Body, layer: Layer) -> f64 {
    let Setup { nsqd, files } = Setup::start().await;
    let proxy = Proxy::to(nsqd.tcp_address()).await;
    let producer = producer(proxy.address(), layer.config(&files.path().join(AUTHORITY)));
    producer.ready().await.expect("nsqd is there");
    let before = proxy.upstream().bytes();
    let bodies = body.bodies();
    let messages = body.messages() / 20;
    gnsq_client::publish(producer, &bodies, messages).await;
    (proxy.upstream().bytes() - before) as f64 / messages as f64
}

#[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
fn spawn(work: Work, body: Body, layer: Layer, address: SocketAddr, authority: &Path) -> Run {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.args(["security", work.name(), layer.name(), body.name(), &address.to_string()]).arg(authority);
    let output = command.output().expect("this program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [wall, cpu] = numbers[..] else { panic!("{command:?} printed {text:?}") };
    let messages = body.messages() as f64;
    Run { rate: messages / wall, cpu_micros: cpu * 1e6 / messages }
}

fn producer(address: SocketAddr, config: ConnectionConfig) -> Producer {
    Producer::builder().nsqd(address).connection(config).build().expect("the options are right")
}

fn median(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

const ROUNDS: usize = 3;
const AUTHORITY: &str = "certificate.pem";
