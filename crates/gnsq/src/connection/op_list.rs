//! What a connection's users have asked for and its driver hasn't done yet.

use gnsq_proto::MessageId;

use super::op::{Answer, Op};

/// Ops in the order in which they were asked for. Finishes, of which a busy consumer has one a message, are kept apart
/// from the rest, since they need a fraction of the room.
#[derive(Debug, Default)]
pub(super) struct OpList {
    /// Each with the number of finishes ahead of it.
    others: Vec<(usize, Op)>,
    finishes: Vec<MessageId>,
}

/// Some of a list, in its order.
pub(super) enum Asked<'a> {
    Finish(&'a [MessageId]),
    Other(Op),
}

impl OpList {
    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty() && self.finishes.is_empty()
    }

    pub(super) fn push(&mut self, op: Op) {
        match op {
            Op::Answer(Answer::Finish(id)) => self.finish(id),
            op => self.others.push((self.finishes.len(), op)),
        }
    }

    pub(super) fn finish(&mut self, id: MessageId) {
        self.finishes.push(id);
    }

    pub(super) fn finish_all(&mut self, ids: &[MessageId]) {
        self.finishes.extend_from_slice(ids);
    }

    /// Takes all of it out, and leaves room for as many as are usual.
    pub(super) fn drain(&mut self, mut each: impl FnMut(Asked<'_>)) {
        let mut done = 0;
        for (before, op) in self.others.drain(..) {
            if before > done {
                each(Asked::Finish(&self.finishes[done..before]));
                done = before;
            }
            each(Asked::Other(op));
        }
        if self.finishes.len() > done {
            each(Asked::Finish(&self.finishes[done..]));
        }
        self.finishes.clear();
        // A burst leaves no memory behind.
        self.others.shrink_to(KEEP);
        self.finishes.shrink_to(KEEP);
    }

    /// What is not a finish.
    pub(super) fn into_others(self) -> impl Iterator<Item = Op> {
        self.others.into_iter().map(|(_, op)| op)
    }
}

/// As many as one nsqd may have in flight, by default.
const KEEP: usize = 2500;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId([number; 16])
    }

    #[test]
    fn keeps_the_order_of_finishes_and_others() {
        let mut list = OpList::default();
        assert!(list.is_empty());
        for _ in 0..2 {
            list.push(Op::Answer(Answer::Touch(id(0))));
            list.push(Op::Nop);
            list.finish(id(1));
            list.finish_all(&[id(2), id(3)]);
            list.push(Op::Answer(Answer::Touch(id(4))));
            list.push(Op::Answer(Answer::Finish(id(5))));
            assert!(!list.is_empty());
            let mut order = Vec::new();
            list.drain(|asked| match asked {
                Asked::Finish(ids) => order.extend(ids.iter().map(|id| ('f', id.0[0]))),
                Asked::Other(Op::Answer(Answer::Touch(id))) => order.push(('t', id.0[0])),
                Asked::Other(_) => order.push(('-', 0)),
            });
            assert_eq!(order, [('t', 0), ('-', 0), ('f', 1), ('f', 2), ('f', 3), ('t', 4), ('f', 5)]);
            assert!(list.is_empty());
        }
    }
}
