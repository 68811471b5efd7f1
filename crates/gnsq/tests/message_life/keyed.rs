//! The order of keys, whatever the handler does.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gnsq::{ConsumerBuilder, ConsumerHandle, HandlerError, Message, Requeue, ShutdownReport};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::servers::Server;
use super::support::{consumer, within};

/// Bodies are a key, a space and a number.
fn key(message: &Message) -> String {
    text(message).split(' ').next().unwrap().to_owned()
}

fn text(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

fn quick(server: &Server) -> ConsumerBuilder {
    consumer()
        .nsqd(server.address.clone())
        .max_backoff(Duration::ZERO)
        .keyed_retry_delay(Duration::from_millis(5))
        .max_keyed_retry_delay(Duration::from_millis(200))
}

/// A consumer that runs in the background.
struct Keyed {
    handle: ConsumerHandle,
    running: JoinHandle<ShutdownReport>,
}

impl Keyed {
    fn run<H, F>(builder: ConsumerBuilder, handler: H) -> Self
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let consumer = builder.build().unwrap();
        let handle = consumer.handle().clone();
        Self { handle, running: tokio::spawn(consumer.run_keyed(key, handler)) }
    }

    async fn shutdown(self) -> ShutdownReport {
        within("the shutdown", self.handle.shutdown()).await;
        within("the end of the run", self.running).await.unwrap()
    }
}

/// What has become of each message.
#[derive(Default)]
struct Record {
    busy: HashMap<String, String>,
    attempts: HashMap<String, u16>,
    succeeded: HashMap<String, Vec<usize>>,
}

async fn successes_come_in_order_whatever_fails(server: Server, seed: u64) {
    const COUNT: usize = 300;
    let mut rng = fastrand::Rng::with_seed(seed);
    server.publish((0..COUNT).map(|number| format!("{} {number}", rng.u8(0..6)))).await;
    let record = Arc::new(Mutex::new(Record::default()));
    let (done, mut all) = watch::channel(0);
    let recording = record.clone();
    let rng = Mutex::new(rng);
    let builder = quick(&server).concurrency(4).max_in_flight(40).max_waiting_per_key(3);
    let keyed = Keyed::run(builder, move |message: Message| {
        let (key, body, record, done) = (key(&message), text(&message), recording.clone(), done.clone());
        let (takes, ends) = {
            let mut rng = rng.lock().unwrap();
            (Duration::from_micros(rng.u64(..3000)), rng.u8(..10))
        };
        {
            let mut record = record.lock().unwrap();
            let other = record.busy.insert(key.clone(), body.clone());
            assert_eq!(other, None, "two handlers for key {key}");
            let attempts = record.attempts.entry(body.clone()).or_default();
            *attempts += 1;
            assert_eq!(message.attempts(), *attempts, "{body}");
        }
        async move {
            tokio::time::sleep(takes).await;
            let mut record = record.lock().unwrap();
            record.busy.remove(&key);
            match ends {
                0 => return Err("broken".into()),
                1 => return Err(Requeue::after(takes * 2).without_backoff().into()),
                2 => {
                    drop(record);
                    panic!("broken, too")
                }
                3 => message.finish()?,
                _ => {}
            }
            let number = body.split(' ').next_back().unwrap().parse().unwrap();
            record.succeeded.entry(key).or_default().push(number);
            done.send_modify(|done| *done += 1);
            Ok(())
        }
    });
    within("all successes", all.wait_for(|done| *done == COUNT)).await.unwrap();
    let channel = server.wait_until_empty().await;
    let stats = keyed.handle.stats();
    keyed.shutdown().await;
    let record = record.lock().unwrap();
    for (key, numbers) in &record.succeeded {
        assert!(numbers.is_sorted(), "seed {seed}, key {key}: {numbers:?}");
    }
    assert_eq!(record.succeeded.values().map(Vec::len).sum::<usize>(), COUNT);
    assert!(channel.timeout_count == 0 && stats.retried > 0, "{stats:?}");
}

#[tokio::test]
async fn successes_come_in_order_whatever_fails_with_the_real_nsqd() {
    successes_come_in_order_whatever_fails(Server::real().await, 1).await;
}

#[tokio::test]
async fn successes_come_in_order_whatever_fails_with_the_embedded_nsqd() {
    for seed in 2..6 {
        successes_come_in_order_whatever_fails(Server::embedded().await, seed).await;
    }
}

async fn a_stuck_key_leaves_room_for_others_and_goes_on_in_order(server: Server) {
    let bodies = (0..50).map(|number| format!("stuck {number}")).chain((0..50).map(|number| format!("well {number}")));
    server.publish(bodies).await;
    let (go, gone) = watch::channel(false);
    let (done, mut succeeded) = mpsc::unbounded_channel();
    let builder = quick(&server).concurrency(2).max_in_flight(10).max_waiting_per_key(3);
    let keyed = Keyed::run(builder, move |message: Message| {
        let result = if key(&message) == "stuck" && !*gone.borrow() {
            Err("stuck".into())
        } else {
            done.send(text(&message)).map_err(Into::into)
        };
        std::future::ready(result)
    });
    for number in 0..50 {
        assert_eq!(within("the others", succeeded.recv()).await.unwrap(), format!("well {number}"));
    }
    go.send(true).unwrap();
    for number in 0..50 {
        assert_eq!(within("the key", succeeded.recv()).await.unwrap(), format!("stuck {number}"));
    }
    server.wait_until_empty().await;
    keyed.shutdown().await;
}

#[tokio::test]
async fn a_stuck_key_leaves_room_for_others_and_goes_on_in_order_with_the_real_nsqd() {
    a_stuck_key_leaves_room_for_others_and_goes_on_in_order(Server::real().await).await;
}

#[tokio::test]
async fn a_stuck_key_leaves_room_for_others_and_goes_on_in_order_with_the_embedded_nsqd() {
    a_stuck_key_leaves_room_for_others_and_goes_on_in_order(Server::embedded().await).await;
}

#[tokio::test]
async fn a_message_is_given_up_before_the_next_of_its_key() {
    let server = Server::embedded().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let giving_up = tell.clone();
    let failures = Mutex::new(2);
    let builder = quick(&server).max_attempts(2).give_up_handler(move |message| {
        giving_up.send(format!("given up at {}", message.attempts)).unwrap();
        let mut failures = failures.lock().unwrap();
        *failures -= 1;
        std::future::ready(if *failures > 0 { Err(std::io::Error::other("not yet")) } else { Ok(()) })
    });
    let keyed = Keyed::run(builder, move |message: Message| {
        tell.send(format!("{} at {}", text(&message), message.attempts())).unwrap();
        std::future::ready(if text(&message) == "a 0" { Err("broken".into()) } else { Ok(()) })
    });
    server.publish(["a 0", "a 1"]).await;
    for expected in ["a 0 at 1", "a 0 at 2", "given up at 3", "given up at 4", "a 1 at 1"] {
        assert_eq!(within("a call", told.recv()).await.unwrap(), expected);
    }
    let channel = server.wait_until_empty().await;
    assert_eq!((channel.requeue_count, channel.timeout_count), (0, 0));
    let stats = keyed.handle.stats();
    assert_eq!((stats.given_up, stats.retried, stats.requeued, stats.finished), (1, 3, 0, 2));
    keyed.shutdown().await;
}

async fn a_shutdown_gives_back_at_once_what_waits_for_its_key(server: Server) {
    server.publish((0..10).map(|number| format!("a {number}"))).await;
    let (go, gone) = watch::channel(false);
    let (tell, mut begun) = mpsc::unbounded_channel();
    let keyed = Keyed::run(quick(&server).concurrency(3), move |message: Message| {
        tell.send(text(&message)).unwrap();
        let mut gone = gone.clone();
        async move { Ok(gone.wait_for(|gone| *gone).await.map(drop)?) }
    });
    assert_eq!(within("the first", begun.recv()).await.unwrap(), "a 0");
    let handle = keyed.handle.clone();
    gnsq_testkit::eventually(super::support::DEADLINE, "all messages", async || {
        (handle.stats().received == 10).then_some(())
    })
    .await;
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    gnsq_testkit::eventually(super::support::DEADLINE, "what was given back", async || {
        (server.channel().await.depth == 9).then_some(())
    })
    .await;
    go.send(true).unwrap();
    let report = within("the shutdown", shutdown).await.unwrap();
    assert_eq!((report.requeued_unstarted, report.finished, report.requeued_unfinished), (9, 1, 0));
    keyed.shutdown().await;
    assert!(begun.recv().await.is_none());
}

#[tokio::test]
async fn a_shutdown_gives_back_at_once_what_waits_for_its_key_to_the_real_nsqd() {
    a_shutdown_gives_back_at_once_what_waits_for_its_key(Server::real().await).await;
}

#[tokio::test]
async fn a_shutdown_gives_back_at_once_what_waits_for_its_key_to_the_embedded_nsqd() {
    a_shutdown_gives_back_at_once_what_waits_for_its_key(Server::embedded().await).await;
}

async fn what_waits_for_its_key_is_kept(server: Server) {
    let (done, mut succeeded) = mpsc::unbounded_channel();
    let keyed = Keyed::run(server.short_lived(), move |message: Message| {
        let done = done.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1300)).await;
            Ok(done.send(text(&message))?)
        }
    });
    server.publish((0..3).map(|number| format!("a {number}"))).await;
    for number in 0..3 {
        assert_eq!(within("a success", succeeded.recv()).await.unwrap(), format!("a {number}"));
    }
    let channel = server.wait_until_empty().await;
    let stats = keyed.handle.stats();
    keyed.shutdown().await;
    assert_eq!((channel.timeout_count, stats.expired, stats.finished), (0, 0, 3));
}

#[tokio::test]
async fn what_waits_for_its_key_is_kept_by_the_real_nsqd() {
    what_waits_for_its_key_is_kept(Server::real().await).await;
}

#[tokio::test]
async fn what_waits_for_its_key_is_kept_by_the_embedded_nsqd() {
    what_waits_for_its_key_is_kept(Server::embedded().await).await;
}

#[tokio::test]
async fn a_key_function_that_panics_costs_only_its_message() {
    let server = Server::embedded().await;
    let consumer = quick(&server).build().unwrap();
    let handle = consumer.handle().clone();
    let (done, mut succeeded) = mpsc::unbounded_channel();
    let key = |message: &Message| assert!(message.attempts() > 1 || text(message) != "bad");
    let running = tokio::spawn(consumer.run_keyed(key, move |message: Message| {
        done.send(text(&message)).unwrap();
        std::future::ready(Ok::<_, Infallible>(()))
    }));
    server.publish(["bad"]).await;
    assert_eq!(within("its second time", succeeded.recv()).await.unwrap(), "bad");
    server.wait_until_empty().await;
    assert_eq!(handle.stats().requeued, 1);
    within("the shutdown", handle.shutdown()).await;
    running.await.unwrap();
}
