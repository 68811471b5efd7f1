//! Publishes every line of a text file through two nsqds that nsqlookupd knows, consumes them with a handler, and
//! proves with counts and checksums that nothing was lost.
//!
//! `cargo run --release --example quickstart -- FILE`; without a file it takes this workspace's `Cargo.lock`. The servers
//! are gnsq's own, in this process: there is nothing to install. With real ones only their addresses would change.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::collections::HashMap;
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use gnsq::{Address, Consumer, LookupdClient, Message, Producer};
use gnsq_server::{Nsqd, Nsqlookupd};

/// How often each line came, by its number, and the text it came with.
type Received = HashMap<usize, (u64, String)>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path =
        std::env::args().nth(1).unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock").into());
    let text = std::fs::read_to_string(&path)?;
    let lines: Vec<&str> = text.lines().collect();

    let nsqlookupd = Nsqlookupd::start().await?;
    let _first = Nsqd::builder().lookupd(&nsqlookupd).start().await?;
    let _second = Nsqd::builder().lookupd(&nsqlookupd).start().await?;
    let lookupd = nsqlookupd.http_url();
    println!("nsqlookupd at {lookupd}, two nsqds register with it");

    // A producer is told its nsqds; here, by nsqlookupd.
    let mut nsqds = Vec::new();
    for node in LookupdClient::new(&lookupd)?.nodes().await? {
        nsqds.extend(node.producer.tcp_address().map(|address| address.parse::<Address>()).transpose()?);
    }
    let producer = Producer::builder().nsqds(&nsqds).build()?;
    let began = Instant::now();
    let publish = |(number, line): (usize, &str)| {
        let producer = producer.clone();
        // nsqd takes no empty message, and a text may have empty lines: each goes with its number.
        let body = format!("{number} {line}");
        async move { producer.publish("lines", body).await }
    };
    let publishing = stream::iter(lines.iter().copied().enumerate()).map(publish).buffer_unordered(100);
    publishing.try_collect::<()>().await?;
    println!("published {} lines of {path} through {} nsqds in {:.2?}", lines.len(), nsqds.len(), began.elapsed());

    // A consumer finds them by itself.
    let consumer =
        Consumer::builder("lines", "quickstart").lookupd(&lookupd).max_in_flight(200).concurrency(4).build()?;
    let began = Instant::now();
    let received = Arc::new(Mutex::new(Received::new()));
    let (handle, all, total) = (consumer.handle().clone(), received.clone(), lines.len());
    tokio::spawn(watch(consumer.handle().clone(), received.clone(), total));
    let report = consumer
        .run(move |message: Message| {
            let distinct = record(&message, &all);
            if distinct.as_ref().is_ok_and(|distinct| *distinct == total) {
                let handle = handle.clone();
                tokio::spawn(async move { handle.shutdown().await });
            }
            std::future::ready(distinct.map(drop))
        })
        .await;
    println!("consumed in {:.2?}; {report:?}", began.elapsed());
    producer.close().await;

    let received = received.lock().map_err(|_| "a handler panicked")?;
    let deliveries: u64 = received.values().map(|(count, _)| count).sum();
    let sent = checksum(lines.iter().copied().enumerate());
    let came = checksum(received.iter().map(|(number, (_, line))| (*number, line.as_str())));
    println!("published {} lines, checksum {sent:016x}", lines.len());
    println!(
        "received  {} lines, checksum {came:016x}, {} of them twice",
        received.len(),
        deliveries - received.len() as u64
    );
    if received.len() != lines.len() || sent != came {
        return Err("lines were lost or changed".into());
    }
    println!("nothing was lost");
    Ok(())
}

/// Notes a line; returns how many different ones have come.
fn record(message: &Message, received: &Mutex<Received>) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let body = std::str::from_utf8(message.body())?;
    let (number, line) = body.split_once(' ').ok_or("a line without its number")?;
    let mut received = received.lock().map_err(|_| "a handler panicked")?;
    let (count, _) = received.entry(number.parse()?).or_insert_with(|| (0, line.to_owned()));
    *count += 1;
    Ok(received.len())
}

/// Shows how far it is, ten times a second.
async fn watch(handle: gnsq::ConsumerHandle, received: Arc<Mutex<Received>>, total: usize) {
    let mut shown = 0;
    loop {
        let count = received.lock().map_or(0, |received| received.len());
        if count != shown || count == 0 {
            let stats = handle.stats();
            println!("  {count} of {total}, {} nsqds, {} in flight", stats.connections, stats.in_flight);
            shown = count;
        }
        if count == total {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The same for the same lines in any order.
fn checksum<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> u64 {
    lines.fold(0, |sum: u64, numbered| {
        let mut hasher = DefaultHasher::new();
        numbered.hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}
