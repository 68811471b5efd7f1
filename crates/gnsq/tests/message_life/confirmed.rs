//! Answers that are known to have been carried out.

use std::time::Duration;

use futures_util::future::join_all;
use gnsq::{Consumer, Error, ErrorCode, Message};

use super::servers::Server;
use super::support::{consumer, within};

async fn receive(consumer: &mut Consumer, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(within("a message", consumer.recv()).await.unwrap());
    }
    messages
}

async fn what_is_confirmed_has_been_carried_out(server: Server) {
    let mut consumer = consumer().nsqd(server.address.clone()).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(100);
    server.publish((0..100).map(|number| number.to_string())).await;
    let mut messages = receive(&mut consumer, 100).await;

    let kept = messages.split_off(98);
    join_all(kept.iter().map(Message::touch_confirmed)).await.into_iter().for_each(Result::unwrap);
    let requeued =
        messages.split_off(50).into_iter().map(|message| message.requeue_confirmed(Duration::from_secs(600)));
    join_all(requeued).await.into_iter().for_each(Result::unwrap);
    let channel = server.channel().await;
    assert_eq!((channel.in_flight_count, channel.deferred_count), (52, 48));
    join_all(messages.into_iter().map(Message::finish_confirmed)).await.into_iter().for_each(Result::unwrap);
    let channel = server.channel().await;
    assert_eq!((channel.in_flight_count, channel.deferred_count, channel.timeout_count), (2, 48, 0));

    let stats = consumer.handle().stats();
    assert_eq!((stats.finished, stats.requeued, stats.too_late, stats.in_flight), (50, 48, 0, 2));
    drop(kept);
    within("the shutdown", consumer.handle().shutdown()).await;
    drop(consumer);
    assert!(within("the end of the signal", errors.recv()).await.is_none(), "barriers are nobody's business");
}

#[tokio::test]
async fn what_is_confirmed_has_been_carried_out_by_the_real_nsqd() {
    what_is_confirmed_has_been_carried_out(Server::real().await).await;
}

#[tokio::test]
async fn what_is_confirmed_has_been_carried_out_by_the_embedded_nsqd() {
    what_is_confirmed_has_been_carried_out(Server::embedded().await).await;
}

async fn what_is_refused_is_told_to_the_one_who_asked(server: Server) {
    let mut consumer = consumer().nsqd(server.address.clone()).build().unwrap();
    let mut errors = consumer.handle().signals().on_error.subscribe(100);
    server.publish(["0", "1", "2"]).await;
    let messages = receive(&mut consumer, 3).await;
    // This side knows nothing of it.
    server.empty_channel().await;
    let ids = messages.iter().map(Message::id).collect::<Vec<_>>();
    let [finished, requeued, touched] = <[Message; 3]>::try_from(messages).unwrap();
    let mut codes = Vec::new();
    for result in [
        finished.finish_confirmed().await,
        requeued.requeue_confirmed(Duration::ZERO).await,
        touched.touch_confirmed().await,
    ] {
        let Err(Error::Refused { source, .. }) = result else { panic!("{result:?}") };
        codes.push((source.message_id().unwrap(), source.code().clone()));
    }
    assert_eq!(
        codes,
        [(ids[0], ErrorCode::FinFailed), (ids[1], ErrorCode::ReqFailed), (ids[2], ErrorCode::TouchFailed)]
    );
    assert!(touched.is_expired());
    assert_eq!(consumer.handle().stats().too_late, 3);
    for id in ids {
        assert_eq!(within("an error", errors.recv()).await.unwrap().error.message_id(), Some(id));
    }
    within("the shutdown", consumer.handle().shutdown()).await;
}

#[tokio::test]
async fn what_the_real_nsqd_refuses_is_told_to_the_one_who_asked() {
    what_is_refused_is_told_to_the_one_who_asked(Server::real().await).await;
}

#[tokio::test]
async fn what_the_embedded_nsqd_refuses_is_told_to_the_one_who_asked() {
    what_is_refused_is_told_to_the_one_who_asked(Server::embedded().await).await;
}
