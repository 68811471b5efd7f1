//! One connection against a peer that says what nsqd may say, and what it never would.

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use common::{
    ONE, TWO, client, client_with, event, expect_nothing_sent, id, reply_with, serve_end, subscribed_client, text,
    within,
};
use gnsq::{ConnectionConfig, ConnectionError, Error, ErrorCode, FrameError, Io, NsqdTcpClient};
use gnsq_testkit::{ScriptedPeer, identify_reply};
use serde_json::json;

const SHORT: Duration = Duration::from_millis(200);

fn config() -> ConnectionConfig {
    ConnectionConfig::new()
}

#[tokio::test]
async fn a_late_answer_is_told_and_harms_no_publish_that_waits() {
    for (code, kind) in [
        ("E_FIN_FAILED FIN", ErrorCode::FinFailed),
        ("E_REQ_FAILED REQ", ErrorCode::ReqFailed),
        ("E_TOUCH_FAILED TOUCH", ErrorCode::TouchFailed),
    ] {
        let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
        let mut errors = client.signals().on_error.subscribe(8);
        let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
            peer.expect_publish("t").await;
            peer.send_error(&format!("{code} {} failed ID not in flight", text(ONE))).await;
            peer.send_response("OK").await;
        });
        published.unwrap();
        let error = event(&mut errors).await.error;
        assert_eq!(error.code(), &kind);
        assert_eq!(error.message_id().unwrap().0, *ONE);
        expect_nothing_sent(&mut peer).await;
        assert!(client.is_connected());
    }
}

#[tokio::test]
async fn a_fatal_error_refuses_the_oldest_and_what_stands_behind_was_not_carried_out() {
    for code in FATAL {
        let (client, mut peer) = client().await;
        let mut errors = client.signals().on_error.subscribe(8);
        let mut closes = client.signals().on_close.subscribe(8);
        let (first, second, third, ()) = tokio::join!(
            within(client.publish("t", "first")),
            within(client.publish("t", "second")),
            within(client.multipublish("t", ["third", "fourth"])),
            async {
                assert_eq!(peer.expect_publish("t").await, b"first");
                assert_eq!(peer.expect_publish("t").await, b"second");
                peer.send_error(&format!("{code} why")).await;
            }
        );
        let Err(Error::Refused { source, .. }) = first else { panic!("{code}: {first:?}") };
        assert_eq!((source.code().as_str(), source.text()), (code, "why"));
        for behind in [second, third] {
            let Err(error @ Error::Lost { sent: false, .. }) = behind else { panic!("{code}: {behind:?}") };
            assert!(!error.outcome_unknown() && error.is_retryable(), "{code}");
        }
        assert_eq!(event(&mut errors).await.error.code().as_str(), code);
        assert!(matches!(
            event(&mut closes).await.cause,
            Error::Connection { source: ConnectionError::Server(error), .. } if error.code().as_str() == code
        ));
        assert!(matches!(within(client.closed()).await, Error::Connection { .. }));
        assert!(within(client.publish("t", "late")).await.is_err());
        assert!(!client.is_connected());
    }
}

#[tokio::test]
async fn an_error_nobody_knows_leaves_the_others_unknown() {
    let (client, mut peer) = client().await;
    let (first, second, ()) =
        tokio::join!(within(client.publish("t", "first")), within(client.publish("t", "second")), async {
            peer.expect_publish("t").await;
            peer.expect_publish("t").await;
            peer.send_error("E_TOMORROW why").await;
        });
    assert!(matches!(first, Err(Error::Refused { source, .. }) if source.code().as_str() == "E_TOMORROW"));
    assert!(second.unwrap_err().outcome_unknown());
}

#[tokio::test]
async fn identify_and_subscribe_can_be_refused() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.expect_identify().await;
        connection.send_error("E_BAD_BODY IDENTIFY heartbeat interval (1) is invalid").await;
    });
    assert!(matches!(identified, Err(Error::Refused { source, .. }) if *source.code() == ErrorCode::BadBody));

    let (client, mut peer) = common::client().await;
    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), async {
        peer.expect_command("SUB t c").await;
        peer.send_error("E_SUB_FAILED SUB failed to add to channel").await;
    });
    let error = subscribed.unwrap_err();
    assert!(matches!(&error, Error::Refused { source, .. } if *source.code() == ErrorCode::SubFailed));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_heartbeat_is_answered_in_any_place() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, ()) = tokio::join!(within(client.identify()), async {
        connection.expect_magic().await;
        connection.heartbeat().await;
        connection.expect_line().await;
        let body = connection.expect_body().await;
        assert!(body.starts_with(b"{"));
        connection.heartbeat().await;
        connection.send_response(identify_reply().to_string()).await;
        connection.expect_command("NOP").await;
    });
    identified.unwrap();

    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), async {
        connection.expect_command("SUB t c").await;
        connection.heartbeat().await;
        connection.expect_command("NOP").await;
        connection.send_response("OK").await;
    });
    subscribed.unwrap();

    let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
        connection.expect_publish("t").await;
        connection.heartbeat().await;
        connection.send_response("OK").await;
        connection.expect_command("NOP").await;
    });
    published.unwrap();

    client.ready(2).unwrap();
    connection.expect_command("RDY 2").await;
    connection.send_message(ONE, 1, 1, b"unread").await;
    connection.send_message(TWO, 1, 1, b"unread").await;
    for _ in 0..3 {
        connection.heartbeat().await;
        connection.expect_command("NOP").await;
    }
    assert_eq!(within(client.recv()).await.unwrap().id().0, *ONE);
}

#[tokio::test]
async fn a_message_behind_close_wait_is_there_and_goes_back_if_nobody_takes_it() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
    let (closing, ()) = tokio::join!(within(client.start_close()), async {
        peer.expect_command("CLS").await;
        peer.send_response("CLOSE_WAIT").await;
        peer.send_message(ONE, 1, 1, b"late").await;
        peer.send_message(TWO, 1, 1, b"later").await;
        expect_nothing_sent(&mut peer).await;
    });
    closing.unwrap();
    within(client.recv()).await.unwrap().finish().unwrap();
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
    let ((), lines) = tokio::join!(within(client.close()), serve_end(peer));
    assert_eq!(lines, [format!("REQ {} 0", text(TWO))]);
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_connection_and_leave_the_outcome_unknown() {
    type Check = fn(&FrameError) -> bool;
    let cases: [(&[u8], Check); 5] = [
        (b"\0\0\0\x06\0\0\0\x07OK", |error| *error == FrameError::UnknownType(7)),
        (b"\0\x10\0\0", |error| matches!(error, FrameError::TooLarge { size: 0x0010_0000, limit: 1000 })),
        (b"\0\0\0\0", |error| *error == FrameError::BadSize(0)),
        (b"\0\0\0\x08\0\0\0\x02tiny", |error| *error == FrameError::ShortMessage(4)),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", |error| {
            matches!(error, FrameError::TooLarge { .. })
        }),
    ];
    for (bytes, check) in cases {
        let (client, mut peer) = client_with(config().max_frame_size(1000), &identify_reply()).await;
        let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
            peer.expect_publish("t").await;
            peer.send_raw(bytes).await;
        });
        let error = published.unwrap_err();
        assert!(error.outcome_unknown(), "{error}");
        let Error::Connection { source: ConnectionError::Frame(cause), .. } = within(client.closed()).await else {
            panic!("{error}")
        };
        assert!(check(&cause), "{cause}");
    }
}

#[tokio::test]
async fn an_answer_that_fits_nothing_ends_the_connection_and_leaves_the_outcome_unknown() {
    let (client, mut peer) = client().await;
    let (first, second, ()) =
        tokio::join!(within(client.publish("t", "first")), within(client.publish("t", "second")), async {
            peer.expect_publish("t").await;
            peer.send_response("WHAT").await;
        });
    for published in [first, second] {
        let error = published.unwrap_err();
        assert!(error.outcome_unknown(), "{error}");
    }
    assert!(matches!(
        within(client.closed()).await,
        Error::Connection { source: ConnectionError::UnexpectedResponse { answer, .. }, .. } if answer == "WHAT"
    ));

    let (client, mut peer) = common::client().await;
    peer.send_response("OK").await;
    assert!(matches!(
        within(client.closed()).await,
        Error::Connection { source: ConnectionError::UnexpectedResponse { .. }, .. }
    ));
}

#[tokio::test]
async fn the_end_in_the_middle_of_a_frame_leaves_the_outcome_unknown() {
    for reset in [false, true] {
        let (client, mut peer) = client().await;
        let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
            peer.expect_publish("t").await;
            peer.send_raw(b"\0\0\0\x06\0\0\0\0O").await;
            if reset {
                peer.reset();
            } else {
                peer.close().await;
            }
        });
        let Err(error @ Error::Lost { sent: true, .. }) = published else { panic!("{published:?}") };
        assert!(error.outcome_unknown() && error.is_retryable());
        let Error::Io { source, .. } = within(client.closed()).await else { panic!("{error}") };
        let expected = if reset { ErrorKind::ConnectionReset } else { ErrorKind::UnexpectedEof };
        assert_eq!(source.kind(), expected);
    }
}

#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let (client, mut peer) = client().await;
    let (published, ()) = tokio::join!(within(client.publish("t", "body")), async {
        peer.expect_publish("t").await;
        for byte in b"\0\0\0\x06\0\0\0\0OK" {
            peer.send_raw(&[*byte]).await;
            tokio::task::yield_now().await;
        }
    });
    published.unwrap();
}

#[tokio::test]
async fn a_server_without_negotiation_will_do() {
    let (client, mut peer) = within(async {
        let peer = ScriptedPeer::bind().await;
        let client = NsqdTcpClient::connect(peer.address()).await.unwrap();
        let mut connection = peer.accept().await;
        let (identified, ()) = tokio::join!(client.identify(), async {
            connection.expect_magic().await;
            connection.expect_identify().await;
            connection.send_response("OK").await;
        });
        assert_eq!(identified.unwrap().max_rdy_count, 0);
        (client, connection)
    })
    .await;
    let (subscribed, ()) = tokio::join!(within(client.subscribe("t", "c")), peer.expect_subscribe("t", "c"));
    subscribed.unwrap();
    client.ready(5000).unwrap();
    peer.expect_command("RDY 5000").await;
    peer.send_message(ONE, 1, 1, b"body").await;
    let message = within(client.recv()).await.unwrap();
    let before = message.deadline();
    message.touch().unwrap();
    assert!(message.deadline() > before && !message.is_expired());
    message.finish().unwrap();
    peer.expect_command(&format!("TOUCH {}", text(ONE))).await;
    peer.expect_command(&format!("FIN {}", text(ONE))).await;
}

#[tokio::test]
async fn an_unreadable_answer_to_identify_is_told_with_its_cause() {
    for answer in ["{", "no json", "7", r#"{"max_rdy_count":-1}"#] {
        let peer = ScriptedPeer::bind().await;
        let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
        let mut connection = peer.accept().await;
        let (identified, ()) = tokio::join!(within(client.identify()), async {
            connection.expect_magic().await;
            connection.expect_identify().await;
            connection.send_response(answer).await;
        });
        let Err(Error::Lost { cause, .. }) = identified else { panic!("{answer}: {identified:?}") };
        assert!(
            matches!(*cause, Error::Connection { source: ConnectionError::IdentifyResponse(_), .. }),
            "{answer}: {cause}"
        );
    }
}

#[tokio::test]
async fn no_answer_to_identify_is_a_timeout() {
    let peer = ScriptedPeer::bind().await;
    let connecting = NsqdTcpClient::connect_with(peer.address(), config().answer_timeout(SHORT), &Io::Current);
    let client = within(connecting).await.unwrap();
    let _connection = peer.accept().await;
    let error = within(client.identify()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { after: SHORT, .. }) && error.is_timeout(), "{error}");
}

#[tokio::test]
async fn an_nsqd_that_requires_auth_says_so() {
    let peer = ScriptedPeer::bind().await;
    let client = within(NsqdTcpClient::connect(peer.address())).await.unwrap();
    let mut connection = peer.accept().await;
    let reply = reply_with([("auth_required", json!(true))]);
    let (identified, _) = tokio::join!(within(client.identify()), connection.handshake_with(&reply));
    assert!(identified.unwrap().auth_required);
}

#[tokio::test]
async fn a_silent_peer_counts_as_dead() {
    let config = config().heartbeat_interval(Duration::from_secs(1));
    let (client, mut peer) = client_with(config, &identify_reply()).await;
    let (published, _) = tokio::join!(within(client.publish("t", "body")), peer.expect_publish("t"));
    assert!(published.unwrap_err().outcome_unknown());
    let cause = within(client.closed()).await;
    assert!(matches!(&cause, Error::Connection { source: ConnectionError::Silent(_), .. }), "{cause}");
    assert!(cause.is_timeout());
}

#[tokio::test]
async fn a_peer_that_reads_nothing_for_the_write_timeout_counts_as_dead() {
    let (client, _peer) = client_with(config().write_timeout(SHORT), &identify_reply()).await;
    let outcomes = flood(&client).await;
    let Error::Io { source, .. } = within(client.closed()).await else { panic!("{outcomes:?}") };
    assert_eq!(source.kind(), ErrorKind::TimedOut);
    assert_partly_sent(&outcomes);
}

#[tokio::test]
async fn no_more_than_max_unsent_bytes_wait_for_a_peer_that_reads_nothing() {
    let (client, _peer) = client_with(config().max_unsent_bytes(1 << 20), &identify_reply()).await;
    let outcomes = flood(&client).await;
    let Error::Io { source, .. } = within(client.closed()).await else { panic!("{outcomes:?}") };
    assert_eq!(source.kind(), ErrorKind::OutOfMemory);
    assert_partly_sent(&outcomes);
}

#[tokio::test]
async fn a_message_larger_than_max_unsent_bytes_goes_to_a_peer_that_reads() {
    let (client, mut peer) = client_with(config().max_unsent_bytes(100), &identify_reply()).await;
    let (published, body) = tokio::join!(within(client.publish("t", vec![b'x'; 10_000])), async {
        let body = peer.expect_publish("t").await;
        peer.send_response("OK").await;
        body
    });
    published.unwrap();
    assert_eq!(body.len(), 10_000);
}

#[tokio::test]
async fn what_times_out_behind_a_slow_peer_may_still_be_carried_out() {
    let (client, mut peer) = client_with(config().answer_timeout(SHORT), &identify_reply()).await;
    let outcomes = flood(&client).await;
    for outcome in &outcomes {
        assert!(matches!(outcome, Error::Timeout { sent: true, .. }) && outcome.outcome_unknown(), "{outcome}");
    }
    for _ in &outcomes {
        assert_eq!(peer.expect_publish("t").await.len(), LARGE);
    }
}

#[tokio::test]
async fn more_messages_than_twice_the_rdy_go_back() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 10).await;
    for number in 0..200 {
        peer.send_message(&id(number), 1, 1, b"body").await;
    }
    // 10 twice, and 64 that are no flood yet.
    for number in 84..200 {
        peer.expect_command(&format!("REQ {} 0", text(&id(number)))).await;
    }
    expect_nothing_sent(&mut peer).await;
    assert_eq!(client.in_flight(), 84);
}

#[tokio::test]
async fn a_message_sent_again_and_again_ends_the_connection_before_it_fills_the_memory() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
    for _ in 0..60 {
        peer.send_message(ONE, 1, 1, b"body").await;
    }
    // nsqd's clock may be ahead.
    expect_nothing_sent(&mut peer).await;
    for _ in 0..8 {
        peer.send_message(ONE, 1, 1, b"body").await;
    }
    let Error::Io { source, .. } = within(client.closed()).await else { panic!("it has another cause") };
    assert_eq!(source.kind(), ErrorKind::InvalidData);
    assert!(within(client.recv()).await.is_some());
}

#[tokio::test]
async fn without_heartbeats_and_work_a_connection_sleeps() {
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = config().heartbeat_interval(None).answer_timeout(SHORT);
    let on_io = Io::Runtime(io.handle().clone());
    let client = within(NsqdTcpClient::connect_with(peer.address(), config, &on_io)).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, identify) = tokio::join!(within(client.identify()), connection.handshake());
    identified.unwrap();
    assert_eq!(identify["heartbeat_interval"], -1);
    // Its last timer, for the answer to IDENTIFY, has passed when a publish without an answer is given up.
    let (published, _) = tokio::join!(within(client.publish("t", "body")), connection.expect_publish("t"));
    assert!(published.unwrap_err().is_timeout());
    let busy_before = io.metrics().worker_total_busy_duration(0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = io.metrics().worker_total_busy_duration(0).saturating_sub(busy_before);
    assert!(busy < Duration::from_millis(250), "busy for {busy:?} of 500 ms");
    drop(client);
    io.shutdown_background();
}

#[tokio::test]
async fn what_waits_is_told_when_the_runtime_of_the_io_ends() {
    let peer = ScriptedPeer::bind().await;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let on_io = Io::Runtime(io.handle().clone());
    let client = within(NsqdTcpClient::connect_with(peer.address(), config(), &on_io)).await.unwrap();
    let mut connection = peer.accept().await;
    let (identified, _) = tokio::join!(within(client.identify()), connection.handshake());
    identified.unwrap();
    let (published, received, ()) = tokio::join!(within(client.publish("t", "body")), within(client.recv()), async {
        connection.expect_publish("t").await;
        io.shutdown_background();
    });
    assert!(published.unwrap_err().outcome_unknown());
    assert!(received.is_none());
    assert!(within(client.publish("t", "body")).await.is_err());
    within(client.close()).await;
}

// With threads of their own the client nearly always has something to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_hold_while_the_peer_never_stops_sending() {
    let (client, mut peer) = client_with(config().answer_timeout(SHORT), &identify_reply()).await;
    let flood = frames(b"_heartbeat_").repeat(100_000);
    let published = within(async {
        let publish = client.publish("t", "body");
        tokio::pin!(publish);
        let flood = async {
            peer.expect_publish("t").await;
            loop {
                peer.send_raw(&flood).await;
            }
        };
        tokio::select! {
            published = &mut publish => published,
            () = flood => unreachable!("it never ends"),
        }
    })
    .await;
    assert!(published.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_receiver_that_gave_up_waiting_takes_no_wake_up_from_another() {
    let (client, mut peer) = subscribed_client(config(), &identify_reply(), 1).await;
    let client = Arc::new(client);
    let (gave_up, has_given_up) = tokio::sync::oneshot::channel();
    let impatient = client.clone();
    let impatient = tokio::spawn(async move {
        assert!(futures_util::poll!(Box::pin(impatient.recv())).is_pending());
        gave_up.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    within(has_given_up).await.unwrap();
    let patient = client.clone();
    let patient = tokio::spawn(async move { patient.recv().await.map(|message| message.id()) });
    // It runs up to its wait before the peer's bytes can be read.
    tokio::task::yield_now().await;
    peer.send_message(ONE, 1, 1, b"body").await;
    assert_eq!(within(patient).await.unwrap().unwrap().0, *ONE);
    impatient.abort();
}

#[tokio::test]
async fn closing_sends_what_was_asked_for_and_waits_for_nobody_for_ever() {
    let (client, mut peer) = subscribed_client(config().write_timeout(SHORT), &identify_reply(), 2).await;
    peer.send_message(ONE, 1, 1, b"body").await;
    peer.send_message(TWO, 1, 1, b"body").await;
    within(client.recv()).await.unwrap().finish().unwrap();
    // The peer confirms nothing, and never closes its side.
    within(client.close()).await;
    let mut lines = [peer.expect_line().await, peer.expect_line().await, peer.expect_line().await];
    // The end of the wish for messages comes before any of them is given back.
    assert!(lines.iter().position(|line| line == "CLS") < lines.iter().position(|line| line.starts_with("REQ")));
    lines.sort();
    assert_eq!(lines, ["CLS".to_owned(), format!("FIN {}", text(ONE)), format!("REQ {} 0", text(TWO))]);
    assert_eq!(peer.next_line().await, None);
}

/// A response's frame.
fn frames(data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len() + 4).expect("it is short");
    [&size.to_be_bytes()[..], &[0; 4], data].concat()
}

async fn flood(client: &NsqdTcpClient) -> Vec<Error> {
    let body = bytes::Bytes::from(vec![b'x'; LARGE]);
    let publishes = (0..FLOOD).map(|_| client.publish("t", body.clone()));
    let outcomes = within(futures_util::future::join_all(publishes)).await;
    outcomes.into_iter().map(|outcome| outcome.expect_err("nobody answered")).collect()
}

/// The first messages were taken by the socket, the last ones never left.
fn assert_partly_sent(outcomes: &[Error]) {
    assert!(matches!(outcomes.first(), Some(Error::Lost { sent: true, .. })), "{outcomes:?}");
    assert!(matches!(outcomes.last(), Some(Error::Lost { sent: false, .. })), "{outcomes:?}");
}

/// Together more than a socket's buffers hold.
const LARGE: usize = 1 << 20;
const FLOOD: usize = 40;

/// The codes after which nsqd closes the connection.
const FATAL: [&str; 17] = [
    "E_BAD_PROTOCOL",
    "E_INVALID",
    "E_BAD_BODY",
    "E_BAD_TOPIC",
    "E_BAD_CHANNEL",
    "E_BAD_MESSAGE",
    "E_IDENTIFY_FAILED",
    "E_AUTH_DISABLED",
    "E_AUTH_FIRST",
    "E_AUTH_FAILED",
    "E_UNAUTHORIZED",
    "E_AUTH_ERROR",
    "E_SUB_FAILED",
    "E_PUB_FAILED",
    "E_MPUB_FAILED",
    "E_DPUB_FAILED",
    "E_PUT_FAILED",
];
