//! Handlers in threads.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use gnsq::blocking::Consumer;
use gnsq::{HandlerError, Message, Requeue};
use gnsq_testkit::{DEADLINE, ScriptedPeer, identify_reply};

use super::server::{Server, TOPIC, spawn, text, within};

#[test]
fn all_messages_are_handled_until_another_thread_shuts_down() {
    const COUNT: usize = 1000;
    for server in Server::both() {
        let consumer = server.consumer().concurrency(4).build_blocking().unwrap();
        let handle = consumer.handle().clone();
        let (sender, came) = mpsc::channel();
        let running = spawn(move || {
            consumer.run(move |message: Message| {
                assert_eq!(std::thread::current().name(), Some("gnsq-handler"));
                sender.send(text(&message))
            })
        });
        server.producer().multipublish(TOPIC, (0..COUNT).map(|number| number.to_string())).unwrap();
        for _ in 0..COUNT {
            came.recv_timeout(DEADLINE).unwrap();
        }
        let report = within(move || handle.shutdown().unwrap());
        assert_eq!(running.join().unwrap(), report);
        assert_eq!((report.requeued_unstarted, report.requeued_unfinished, &report.unconfirmed[..]), (0, 0, &[][..]));
        // All the handlers' threads are gone, and with them what they held.
        assert_eq!(came.recv_timeout(DEADLINE), Err(mpsc::RecvTimeoutError::Disconnected));
        server.wait_until_empty();
    }
}

/// Each of the four waits for the other three.
#[test]
fn as_many_handlers_run_at_once_as_the_concurrency_says() {
    let server = Server::embedded();
    let consumer = server.consumer().concurrency(4).build_blocking().unwrap();
    let handle = consumer.handle().clone();
    let meeting = Barrier::new(4);
    let met = AtomicUsize::new(0);
    server.producer().multipublish(TOPIC, ["1", "2", "3", "4"]).unwrap();
    let report = within(move || {
        consumer.run(move |_: Message| {
            meeting.wait();
            if met.fetch_add(1, Ordering::Relaxed) == 3 {
                handle.request_shutdown();
            }
            Ok::<_, Infallible>(())
        })
    });
    assert_eq!(report.unwrap().requeued_unfinished, 0);
    server.wait_until_empty();
}

#[test]
fn the_messages_of_a_key_are_handled_in_order_though_some_fail() {
    const COUNT: usize = 100;
    for server in Server::both() {
        let builder = server.consumer().concurrency(4).keyed_retry_delay(Duration::ZERO);
        let consumer = builder.build_blocking().unwrap();
        let handle = consumer.handle().clone();
        let (sender, came) = mpsc::channel();
        let failed = Mutex::new(HashSet::new());
        server.producer().multipublish(TOPIC, (0..COUNT).map(|number| number.to_string())).unwrap();
        let running = spawn(move || {
            consumer.run_keyed(
                |message| text(message).parse::<usize>().unwrap() % 5,
                move |message: Message| -> Result<(), HandlerError> {
                    let number: usize = text(&message).parse()?;
                    if number.is_multiple_of(3) && failed.lock().unwrap().insert(number) {
                        return Err("broken".into());
                    }
                    Ok(sender.send(number)?)
                },
            )
        });
        let mut last = [None; 5];
        for _ in 0..COUNT {
            let number = came.recv_timeout(DEADLINE).unwrap();
            assert!(last[number % 5] < Some(number), "{number} came behind {:?}", last[number % 5]);
            last[number % 5] = Some(number);
        }
        let report = within(move || handle.shutdown().unwrap());
        assert_eq!(running.join().unwrap(), report);
        assert_eq!((report.requeued_unstarted, report.requeued_unfinished), (0, 0));
        server.wait_until_empty();
    }
}

#[test]
fn a_handlers_error_or_panic_requeues_its_message() {
    for server in Server::both() {
        let consumer = server.consumer().build_blocking().unwrap();
        let handle = consumer.handle().clone();
        let exceptions = Arc::new(Mutex::new(Vec::new()));
        let noted = exceptions.clone();
        let note = move |event: &gnsq::ExceptionEvent| noted.lock().unwrap().push(event.error.to_string());
        handle.signals().on_exception.connect(note).forget();
        server.producer().publish(TOPIC, "body").unwrap();
        let stop = handle.clone();
        let report = within(move || {
            consumer.run(move |message: Message| -> Result<(), HandlerError> {
                match message.attempts() {
                    1 => Err("broken".into()),
                    2 => panic!("worse"),
                    3 => Err(Requeue::after(Duration::ZERO).without_backoff().into()),
                    4 => {
                        message.requeue(Duration::ZERO)?;
                        Ok(())
                    }
                    _ => {
                        stop.request_shutdown();
                        Ok(())
                    }
                }
            })
        });
        assert_eq!(report.unwrap().requeued_unfinished, 0);
        let stats = handle.stats();
        assert_eq!((stats.received, stats.requeued, stats.finished), (5, 4, 1));
        assert_eq!(*exceptions.lock().unwrap(), ["broken", "the handler panicked: worse"]);
        server.wait_until_empty();
    }
}

#[test]
fn a_handler_that_never_returns_holds_nobody_up() {
    for server in Server::both() {
        let consumer = server
            .consumer()
            .concurrency(2)
            .max_in_flight(1)
            .shutdown_timeout(Duration::from_millis(100))
            .build_blocking()
            .unwrap();
        let handle = consumer.handle().clone();
        let (begun, begins) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let running = spawn(move || {
            consumer.run(move |_: Message| {
                begun.send(()).unwrap();
                released.lock().unwrap().recv().ok();
                Ok::<_, Infallible>(())
            })
        });
        server.producer().publish(TOPIC, "body").unwrap();
        begins.recv_timeout(DEADLINE).unwrap();
        let report = within(move || handle.shutdown().unwrap());
        assert_eq!(report.requeued_unfinished, 1);
        assert_eq!(running.join().unwrap(), report);
        server.wait_for("the message to be back", |channel| (channel.depth, channel.in_flight_count) == (1, 0));
        // It ends when it returns, and changes nothing any more.
        drop(release);
        assert_eq!(begins.recv_timeout(DEADLINE), Err(mpsc::RecvTimeoutError::Disconnected));
        server.wait_for("the message to stay", |channel| (channel.depth, channel.in_flight_count) == (1, 0));
    }
}

#[test]
fn a_detached_message_is_answered_later_on_another_thread() {
    let server = Server::real();
    let consumer = server.consumer().build_blocking().unwrap();
    let handle = consumer.handle().clone();
    let (sender, detached) = mpsc::channel::<Message>();
    let answering = spawn(move || {
        for message in detached {
            message.finish().unwrap();
            handle.request_shutdown();
        }
    });
    server.producer().publish(TOPIC, "body").unwrap();
    let report = within(move || {
        consumer.run(move |message: Message| {
            message.detach();
            sender.send(message).map_err(|_| "nobody answers")
        })
    });
    assert_eq!(report.unwrap().requeued_unfinished, 0);
    answering.join();
    server.wait_until_empty();
}

#[test]
fn a_handler_publishes_with_a_producer_of_its_kind() {
    let server = Server::real();
    let producer = server.producer();
    let consumer = server.consumer().concurrency(2).build_blocking().unwrap();
    let handle = consumer.handle().clone();
    let done = AtomicBool::new(false);
    producer.publish(TOPIC, "0").unwrap();
    let report = within(move || {
        consumer.run(move |message: Message| {
            let number: u32 = text(&message).parse().unwrap();
            if number < 100 {
                return producer.publish(TOPIC, (number + 1).to_string());
            }
            assert!(!done.swap(true, Ordering::Relaxed));
            handle.request_shutdown();
            Ok(())
        })
    });
    assert_eq!(report.unwrap().requeued_unfinished, 0);
    server.wait_until_empty();
}

/// Who keeps a message alive isn't the thread that is busy with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_touched_while_its_handler_blocks_its_thread() {
    let peer = ScriptedPeer::bind().await;
    let consumer = Consumer::builder("t", "c").nsqd(peer.address()).auto_touch(true).build_blocking().unwrap();
    let handle = consumer.handle().clone();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let running = spawn(move || {
        consumer.run(move |_: Message| {
            released.lock().unwrap().recv()?;
            Ok::<_, HandlerError>(())
        })
    });
    let mut connection = peer.accept().await;
    let mut reply = identify_reply();
    reply["msg_timeout"] = 1000.into();
    connection.handshake_with(&reply).await;
    connection.expect_subscribe("t", "c").await;
    connection.expect_command("RDY 1").await;
    connection.send_message(b"0000000000000001", 1, 1, b"body").await;
    let mut touches = 0;
    while touches < 2 {
        touches += u32::from(connection.expect_line().await == "TOUCH 0000000000000001");
    }
    release.send(()).unwrap();
    while connection.expect_line().await != "FIN 0000000000000001" {}
    handle.request_shutdown();
    while connection.expect_line().await != "CLS" {}
    connection.send_response("CLOSE_WAIT").await;
    while connection.next_line().await.is_some() {}
    drop(connection);
    let report = tokio::task::spawn_blocking(move || running.join()).await.unwrap();
    assert_eq!(report.unwrap().requeued_unfinished, 0);
}
