//! The program itself, as people and scripts use it, against the real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod admin;
mod options;
mod publish;
mod security;
mod servers;
mod stat;
mod support;
mod tail;
mod terminal;
