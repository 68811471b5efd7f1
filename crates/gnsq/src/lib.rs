//! An NSQ client.
