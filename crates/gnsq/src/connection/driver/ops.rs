//! Does what the handle's users have asked for.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gnsq_proto::MessageId;
use gnsq_proto::connection::StateError;

use super::waiter::Waiter;
use super::{Driver, count};
use crate::connection::confirmations::Confirmations;
use crate::connection::op::{Answer, Ask, Confirm, Failure, Op, Reply};
use crate::connection::op_list::Asked;

impl Driver {
    /// Returns whether they were publishes and finishes only.
    pub(super) fn do_ops(&mut self, now: Instant) -> bool {
        let mut ops = std::mem::take(&mut self.ops);
        self.handle.take_ops(&mut ops);
        if ops.is_empty() {
            self.ops = ops;
            return true;
        }
        let in_flight = self.protocol.in_flight();
        let mut are_common = true;
        ops.drain(|asked| match asked {
            Asked::Finish(ids) => self.finish(ids),
            Asked::Other(op) => {
                are_common &= matches!(op, Op::Publish(_));
                self.do_op(op, now);
            }
        });
        self.ops = ops;
        if self.confirmations.take_barrier()
            && let Err(error) = self.protocol.touch(Confirmations::BARRIER, now)
        {
            self.tell_not_sent(&error);
        }
        if self.protocol.in_flight() != in_flight {
            self.window.on_answered(now, count(self.protocol.in_flight()));
        }
        self.send_ready();
        are_common
    }

    fn finish(&mut self, ids: &[MessageId]) {
        match self.protocol.finish_all(ids) {
            Ok(()) => self.tally.finished += ids.len() as u64,
            Err(error) => self.tell_not_sent(&error),
        }
    }

    fn tell_not_sent(&self, error: &StateError) {
        tracing::debug!(nsqd = %self.handle.address(), %error, "command not sent");
    }

    fn do_op(&mut self, op: Op, now: Instant) {
        let result = match op {
            Op::Answer(answer) => self.answer(answer, now),
            Op::GiveBack(id) => self.protocol.give_back(id).map(|given| self.tally.requeued += u64::from(given)),
            Op::KeepAlive(id) if self.protocol.is_in_flight(id) => self.answer(Answer::Touch(id), now),
            Op::KeepAlive(_) => Ok(()),
            Op::Confirm(confirm) => {
                let Confirm { answer, reply, deadline } = *confirm;
                match self.answer(answer, now) {
                    Ok(()) => self.confirmations.ask(answer, reply, deadline),
                    Err(error) => reply.fail(Failure::State(error)),
                }
                Ok(())
            }
            Op::Publish(publish) => {
                self.publish(publish, now);
                Ok(())
            }
            Op::Ask(ask, reply, deadline) => {
                self.ask(*ask, reply, deadline, now);
                Ok(())
            }
            Op::Ready(ready) => {
                self.most_ready = self.most_ready.max(ready);
                self.handle.shared().ready.store(ready, Ordering::Relaxed);
                self.protocol.ready(ready)
            }
            Op::Share(share) => {
                self.handle.shared().share.store(share, Ordering::Relaxed);
                self.window.set_share(now, share);
                Ok(())
            }
            Op::Nop => self.protocol.nop(),
            Op::Send(command, is_answered) => self.protocol.send(&command, is_answered),
            Op::Flush(reply) => {
                self.flushes.push_back((self.protocol.output().queued(), reply));
                Ok(())
            }
            Op::GiveBackAll(ids) => self.give_back_all(&ids),
            Op::RequeueAll => {
                self.tally.requeued += self.protocol.requeue_all() as u64;
                Ok(())
            }
            Op::Close => {
                // A second call doesn't prolong it.
                self.closing.get_or_insert(now + self.handle.shared().config.write_timeout);
                Ok(())
            }
        };
        if let Err(error) = result {
            self.tell_not_sent(&error);
        }
    }

    fn give_back_all(&mut self, ids: &[MessageId]) -> Result<(), StateError> {
        // Ahead of them, or nsqd would send them here again.
        self.protocol.send(&Bytes::from_static(b"RDY 0\n"), false)?;
        // Such a close waits for what comes late.
        self.most_ready = self.most_ready.max(1);
        ids.iter().try_for_each(|id| self.requeue_by_hand(*id))
    }

    pub(super) fn requeue_by_hand(&mut self, id: MessageId) -> Result<(), StateError> {
        self.protocol.send(&[b"REQ ", &id.0[..], b" 0\n"].concat().into(), false)
    }

    /// Tells nsqd what is to become of a message.
    fn answer(&mut self, answer: Answer, now: Instant) -> Result<(), StateError> {
        match answer {
            Answer::Finish(id) => self.protocol.finish(id).map(|_| self.tally.finished += 1),
            Answer::Requeue(id, delay) => {
                self.protocol.requeue(id, delay.min(LONGEST_DELAY)).map(|_| self.tally.requeued += 1)
            }
            Answer::Touch(id) => self.protocol.touch(id, now).map(drop),
        }
    }

    fn ask(&mut self, ask: Ask, reply: Reply, deadline: Instant, now: Instant) {
        let reply = Waiter::Ask(reply);
        let result = match ask {
            Ask::Identify(request) => {
                self.identify_sent = Some(now);
                self.protocol.identify(request, reply, Some(deadline))
            }
            Ask::Auth(secret) => self.protocol.auth(secret, reply, Some(deadline)),
            Ask::Subscribe(topic, channel) => {
                let subscribed = self.protocol.subscribe(topic.clone(), channel.clone(), reply, Some(deadline));
                if subscribed.is_ok() {
                    // Set once: a connection subscribes once.
                    let _ = self.handle.shared().subscribed.set((topic, channel));
                }
                subscribed
            }
            Ask::StartClose => {
                self.window.set_share(now, 0);
                self.protocol.start_close(reply, Some(deadline))
            }
        };
        if let Err(rejected) = result {
            rejected.waiter.reject(rejected.reason, &self.handle);
        }
    }
}

/// nsqd counts in signed 64-bit nanoseconds: more would overflow there, and be no delay at all.
const LONGEST_DELAY: Duration = Duration::from_nanos(u64::MAX / 2);
