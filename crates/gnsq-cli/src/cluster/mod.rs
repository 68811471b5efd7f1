//! The servers as one cluster.

mod action;
mod discover;

pub(crate) use self::action::{Server, Step, StepResult, Target, Verb, carry_out};
pub(crate) use self::discover::{Found, ask_all, holders, nodes, resolve};
