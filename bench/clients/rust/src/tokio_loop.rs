//! Bare tokio sockets: what the runtime itself costs where one waits for an answer, whatever the client.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::options::{Options, Work};
use crate::socket_loop::{HEAD, Input, MESSAGE, RESPONSE, WARM_UP, finish, publish, refused};
use crate::stamp::{age, stamped};
use crate::{CHANNEL, TOPIC};

/// On the current thread, who publishes reads the answer too.
pub(crate) fn run_in_one_task(options: &Options) {
    Builder::new_current_thread().enable_all().build().expect("tokio starts").block_on(async {
        let publisher = Publisher::Direct(connect(options.address(), "").await, Input::new(0));
        let receiver = receiver(options).await.map(|socket| Receiver::Direct(Box::new(socket)));
        run(options, publisher, receiver).await;
    });
}

/// On as many threads as tokio takes, each connection is read by a task of its own, which wakes who waits: the least that
/// a client can do whose connections are shared.
pub(crate) fn run_in_tasks(options: &Options) {
    Builder::new_multi_thread().enable_all().build().expect("tokio starts").block_on(async {
        let (mut input, output) = connect(options.address(), "").await.into_split();
        let (waiting, mut next) = mpsc::channel::<oneshot::Sender<()>>(1);
        tokio::spawn(async move {
            let mut frames = Input::new(0);
            while answered(&mut input, &mut frames).await {
                let waiting = next.recv().await.expect("somebody waits");
                waiting.send(()).expect("and does so still");
            }
        });
        let receiver = receiver(options).await.map(|mut socket| {
            let (received, latencies) = mpsc::channel(options.count + WARM_UP);
            tokio::spawn(async move {
                loop {
                    for latency in socket.read().await {
                        received.try_send(latency).expect("there is room for all");
                    }
                }
            });
            Receiver::Task(latencies)
        });
        // It publishes from a task, as clients' users do.
        let options = options.clone();
        let done = tokio::spawn(async move { run(&options, Publisher::Task(output, waiting), receiver).await });
        done.await.expect("it publishes");
    });
}

async fn run(options: &Options, mut publisher: Publisher, receiver: Option<Receiver>) {
    let Some(mut receiver) = receiver else {
        let command = publish(TOPIC, &options.bodies[0]);
        let clock = Clock::started();
        for _ in 0..options.count {
            publisher.publish(&command).await;
        }
        clock.stop();
        return clock.report(&[], 0);
    };
    assert_eq!(options.rate, 0, "each is published when the one before was received");
    let mut latencies = Vec::with_capacity(options.count + WARM_UP);
    for number in 1..=WARM_UP {
        publisher.publish(&publish(TOPIC, &stamped(options))).await;
        receiver.receive(&mut latencies, number).await;
    }
    latencies.clear();
    let clock = Clock::started();
    for number in 1..=options.count {
        publisher.publish(&publish(TOPIC, &stamped(options))).await;
        receiver.receive(&mut latencies, number).await;
    }
    clock.stop();
    clock.report(&latencies, WARM_UP);
}

async fn connect(address: SocketAddr, commands: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("nsqd listens");
    socket.set_nodelay(true).expect("it is a TCP socket");
    socket.write_all(format!("  V2{commands}").as_bytes()).await.expect("nsqd reads");
    socket
}

/// The connection that receives, where the work has one.
async fn receiver(options: &Options) -> Option<Subscription> {
    match options.work {
        Work::Publish if options.outstanding == 1 => None,
        Work::RoundTrip => {
            let mut socket = connect(options.address(), &format!("SUB {TOPIC} {CHANNEL}\n")).await;
            assert!(answered(&mut socket, &mut Input::new(0)).await, "nsqd closed the connection");
            socket.write_all(format!("RDY {}\n", options.max_in_flight).as_bytes()).await.expect("nsqd reads");
            Some(Subscription { socket, input: Input::new(options.bodies[0].len()) })
        }
        work => panic!("{work:?} says nothing of tokio"),
    }
}

/// Waits for an answer; false at the end of the stream.
async fn answered(socket: &mut (impl AsyncRead + Unpin), input: &mut Input) -> bool {
    let mut answers = 0;
    while answers == 0 {
        let read = socket.read(input.room()).await.expect("nsqd answers");
        if read == 0 {
            return false;
        }
        input.take(read, |kind, data| match (kind, data) {
            (RESPONSE, b"OK") => answers += 1,
            // A run is over before nsqd misses the answer.
            (RESPONSE, b"_heartbeat_") => {}
            _ => refused(data),
        });
    }
    assert_eq!(answers, 1, "one was waited for");
    true
}

enum Publisher {
    Direct(TcpStream, Input),
    Task(tokio::net::tcp::OwnedWriteHalf, mpsc::Sender<oneshot::Sender<()>>),
}

impl Publisher {
    async fn publish(&mut self, command: &[u8]) {
        match self {
            Self::Direct(socket, input) => {
                socket.write_all(command).await.expect("nsqd reads");
                assert!(answered(socket, input).await, "nsqd closed the connection");
            }
            Self::Task(output, waiting) => {
                let (sender, answer) = oneshot::channel();
                waiting.try_send(sender).expect("nobody else waits");
                output.write_all(command).await.expect("nsqd reads");
                answer.await.expect("nsqd answers");
            }
        }
    }
}

enum Receiver {
    Direct(Box<Subscription>),
    Task(mpsc::Receiver<Duration>),
}

impl Receiver {
    /// Waits until there are so many.
    async fn receive(&mut self, latencies: &mut Vec<Duration>, count: usize) {
        while latencies.len() < count {
            match self {
                Self::Direct(subscription) => latencies.extend(subscription.read().await),
                Self::Task(received) => latencies.push(received.recv().await.expect("it comes back")),
            }
        }
    }
}

struct Subscription {
    socket: TcpStream,
    input: Input,
}

impl Subscription {
    /// Reads once, and finishes each message.
    async fn read(&mut self) -> Vec<Duration> {
        let read = self.socket.read(self.input.room()).await.expect("nsqd sends");
        assert!(read > 0, "nsqd closed the connection");
        let (mut latencies, mut answers) = (Vec::new(), Vec::new());
        self.input.take(read, |kind, data| match (kind, data) {
            (MESSAGE, message) => {
                latencies.push(age(&message[HEAD..]));
                finish(&mut answers, message);
            }
            (RESPONSE, b"_heartbeat_") => answers.extend_from_slice(b"NOP\n"),
            _ => refused(data),
        });
        self.socket.write_all(&answers).await.expect("nsqd reads");
        latencies
    }
}
