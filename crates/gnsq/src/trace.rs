//! The log of a message's life: every event has the same fields, so that one search finds all of a message.

/// An event of a message, of the target `gnsq::message`: what it is about is in `topic`, `channel`, `nsqd` and `id`.
macro_rules! message_event {
    ($level:ident, $connection:expr, $id:expr, $($rest:tt)+) => {
        tracing::event!(
            target: "gnsq::message",
            tracing::Level::$level,
            topic = $connection.topic().map(gnsq_proto::TopicName::as_str),
            channel = $connection.channel().map(gnsq_proto::ChannelName::as_str),
            nsqd = %$connection.address(),
            id = %$id,
            $($rest)+
        )
    };
}

/// What a handler does with a message. It has the fields of the events, and `attempts`.
macro_rules! message_span {
    ($connection:expr, $id:expr, $attempts:expr) => {
        tracing::info_span!(
            target: "gnsq::message",
            "message",
            topic = $connection.topic().map(gnsq_proto::TopicName::as_str),
            channel = $connection.channel().map(gnsq_proto::ChannelName::as_str),
            nsqd = %$connection.address(),
            id = %$id,
            attempts = $attempts,
        )
    };
}

pub(crate) use {message_event, message_span};
