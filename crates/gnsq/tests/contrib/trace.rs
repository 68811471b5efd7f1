//! Traces that cross topics.

use gnsq::envelope::TraceContext;
use gnsq::{Consumer, Envelope, HandlerError, Message};

use super::common::within;
use super::{Server, against_both};

/// A handler continues the trace in what it publishes, and plain messages stay plain.
async fn a_trace_goes_on_from_topic_to_topic(server: Server) {
    let producer = server.producer();
    let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("a=1")).unwrap();
    let consumer = Consumer::builder("orders", "c").nsqd(server.address()).build().unwrap();
    let handle = consumer.handle().clone();
    let onward = producer.clone();
    let run = tokio::spawn(consumer.run(move |message: Message| {
        let onward = onward.clone();
        async move {
            let content = message.envelope()?;
            let body = match content.headers.trace() {
                Some(trace) => Envelope::new(content.body).trace(&trace.child()).encode()?,
                None => content.body,
            };
            onward.publish("bills", body).await?;
            Ok::<_, HandlerError>(())
        }
    }));
    let mut bills = Consumer::builder("bills", "c").nsqd(server.address()).build().unwrap();

    within(producer.publish("orders", Envelope::new("traced").trace(&trace).encode().unwrap())).await.unwrap();
    let bill = within(bills.recv()).await.unwrap();
    let content = bill.envelope().unwrap();
    let child = content.headers.trace().unwrap();
    assert_eq!((child.trace_id(), child.is_sampled(), child.state()), (trace.trace_id(), true, trace.state()));
    assert_ne!(child.parent_id(), trace.parent_id());
    assert_eq!(content.body, "traced");
    bill.finish().unwrap();

    within(producer.publish("orders", "plain")).await.unwrap();
    let bill = within(bills.recv()).await.unwrap();
    assert_eq!(bill.body(), "plain");
    bill.finish().unwrap();
    tokio::join!(within(handle.shutdown()), within(bills.handle().shutdown()));
    within(run).await.unwrap();
}

against_both! { a_trace_goes_on_from_topic_to_topic }
