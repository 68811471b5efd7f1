//! NSQ's own tools work with the embedded servers as with the real ones.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod consuming;
mod nsqadmin;
mod producing;
mod tool;
