//! What the clients tell a recorder of the [`metrics`](https://docs.rs/metrics) facade, such as Prometheus' exporter.
//!
//! | name | kind | labels | what it is |
//! |---|---|---|---|
//! | `gnsq_consumer_messages_received_total` | counter | topic, channel | messages received, each delivery counted |
//! | `gnsq_consumer_messages_finished_total` | counter | topic, channel | messages finished |
//! | `gnsq_consumer_messages_requeued_total` | counter | topic, channel | messages requeued, those given back unstarted included |
//! | `gnsq_consumer_messages_expired_total` | counter | topic, channel | messages whose time ran out before they were answered |
//! | `gnsq_consumer_messages_too_late_total` | counter | topic, channel | answers that nsqd refused, since they came too late |
//! | `gnsq_consumer_messages_given_up_total` | counter | topic, channel | messages given up after too many attempts |
//! | `gnsq_consumer_handler_failures_total` | counter | topic, channel | messages on which handlers failed or panicked; a [`Requeue`](crate::Requeue) is no failure |
//! | `gnsq_consumer_handler_seconds` | histogram | topic, channel | how long handlers took; the function of a batch counts once |
//! | `gnsq_consumer_in_flight` | gauge | topic, channel, nsqd | messages received and not answered yet |
//! | `gnsq_consumer_ready` | gauge | topic, channel, nsqd | the RDY that nsqd was told last |
//! | `gnsq_consumer_backing_off` | gauge | topic, channel | how many consumers backoff holds back now; a consumer of several topics, or of a pattern, has them all in one label |
//! | `gnsq_consumer_connections` | gauge | topic, channel, nsqd | connections in use |
//! | `gnsq_consumer_connects_total` | counter | topic, channel, nsqd | connections that came into use; all but the first are reconnects |
//! | `gnsq_consumer_connect_failures_total` | counter | topic, channel, nsqd | attempts to connect that failed |
//! | `gnsq_lookupd_failures_total` | counter | lookupd | questions to an nsqlookupd that got no answer |
//! | `gnsq_producer_publishes_total` | counter | outcome | publishes, by how they ended |
//! | `gnsq_producer_publish_seconds` | histogram | | how long publishes took in all, waiting and other attempts included |
//! | `gnsq_producer_batch_messages` | histogram | | how many messages went out with one command, of those that may share one |
//! | `gnsq_producer_connections` | gauge | nsqd | connections in use |
//! | `gnsq_producer_connects_total` | counter | nsqd | connections that came into use; all but the first are reconnects |
//! | `gnsq_producer_connect_failures_total` | counter | nsqd | attempts to connect that failed |
//!
//! A publish's outcome is `ok`, `refused` (by nsqd), `not_sent` (no connection, no room, no time), or `unknown`: sent, and
//! nsqd may have it. What is refused before it is sent, and what its caller no longer waits for, isn't counted. A
//! multipublish is one publish.
//!
//! Several clients of the same kind, topic and channel add up, in gauges too. No label grows with the messages or with
//! the topics that are published to.
//!
//! Install the recorder before the clients are built: they ask for their instruments then, and for those of an nsqd
//! when they first connect to it. It must be the global one, since connections live on threads of their own.
//!
//! Without a recorder, an instrument costs a message a look at whether there is one, a few nanoseconds for all of them.
//!
//! See `examples/prometheus.rs`.
